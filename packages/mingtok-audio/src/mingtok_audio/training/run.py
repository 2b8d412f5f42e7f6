"""The tokenizer's stages, and running one from its configuration."""

from __future__ import annotations

from mingtok_audio.trainer.stages import Stages
from mingtok_audio.training.acoustic import AcousticConfig, AcousticTask
from mingtok_audio.training.distillation import DistillationConfig, DistillationTask
from mingtok_audio.training.unified import UnifiedConfig, UnifiedTask

STAGES = Stages(
    "mingtok_audio",
    acoustic=(AcousticConfig, AcousticTask),
    distillation=(DistillationConfig, DistillationTask),
    unified=(UnifiedConfig, UnifiedTask),
)
shipped_config, load_config = STAGES.shipped_config, STAGES.load_config
make_task, train = STAGES.make_task, STAGES.train
