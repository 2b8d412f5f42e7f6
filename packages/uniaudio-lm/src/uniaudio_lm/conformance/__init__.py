"""The conformance kits of the slots, run by `uniaudio plugins validate NAME`.

They are written for the interfaces: whoever writes a part can call them in a test of their own,
with the options that their class needs.
"""

from uniaudio_lm.conformance.aligners import check_aligner
from uniaudio_lm.conformance.backbones import check_backbone
from uniaudio_lm.conformance.heads import check_generation_head
from uniaudio_lm.conformance.phonemizers import check_phonemizer
from uniaudio_lm.conformance.recognizers import check_recognizer
from uniaudio_lm.conformance.speech_decoders import check_speech_decoder
from uniaudio_lm.conformance.stops import check_stop_detector
from uniaudio_lm.conformance.text_normalizers import check_text_normalizer
from uniaudio_lm.conformance.watermarks import check_watermark
from uniaudio_lm.conformance.word_models import check_word_model

__all__ = [
    "check_aligner",
    "check_backbone",
    "check_generation_head",
    "check_phonemizer",
    "check_recognizer",
    "check_speech_decoder",
    "check_stop_detector",
    "check_text_normalizer",
    "check_watermark",
    "check_word_model",
]
