"""The conformance kits of the slots, run by `uniaudio plugins validate NAME`.

They are written for the interfaces: whoever writes a part can call them in a test of their own,
with the options that their class needs.
"""

from uniaudio_lm.conformance.backbones import check_backbone
from uniaudio_lm.conformance.heads import check_generation_head
from uniaudio_lm.conformance.stops import check_stop_detector

__all__ = ["check_backbone", "check_generation_head", "check_stop_detector"]
