"""The language model's stage, and running it from its configuration."""

from __future__ import annotations

from mingtok_audio.trainer.stages import Stages
from uniaudio_lm.training.joint import JointTask
from uniaudio_lm.training.settings import JointConfig

STAGES = Stages("uniaudio_lm", joint=(JointConfig, JointTask))
shipped_config, load_config = STAGES.shipped_config, STAGES.load_config
make_task, train = STAGES.make_task, STAGES.train
