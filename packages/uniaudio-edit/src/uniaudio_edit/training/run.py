"""The edit model's stage, and running it from its configuration."""

from __future__ import annotations

from mingtok_audio.trainer.stages import Stages
from uniaudio_edit.training.settings import EditConfig
from uniaudio_edit.training.task import EditTask

STAGES = Stages("uniaudio_edit", edit=(EditConfig, EditTask))
shipped_config, load_config = STAGES.shipped_config, STAGES.load_config
make_task, train = STAGES.make_task, STAGES.train
