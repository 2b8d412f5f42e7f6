"""Compute Whisper's features of the training recordings ahead of stage 2.

    python recipes/nano/tools/teacher_features.py recipes/nano/configs/semantic.yaml

`mingtok train` computes what is missing by itself, a window of 30 s for each recording; this
packs short recordings into windows, which cost the same however much is in them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np

from mingtok_audio.training.data import Library
from mingtok_audio.training.distillation import DistillationConfig
from mingtok_audio.training.run import load_config
from mingtok_audio.training.teachers import SAMPLE_RATE, FeatureCache, load_teacher


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="the stage's YAML file")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--minutes", type=float, help="stop after so long; a rerun goes on")
    options = parser.parse_args()
    config = load_config(options.config, options.overrides)
    if not isinstance(config, DistillationConfig):
        raise SystemExit(f"{options.config} is not a distillation stage")
    library = Library(config.data.train, SAMPLE_RATE)
    teacher = load_teacher(config.teacher.model, threads=config.trainer.threads)
    cache = FeatureCache(config.teacher.cache, teacher)
    seconds = 0.0

    def recordings() -> Iterator[np.ndarray]:
        nonlocal seconds
        for index in range(len(library.recordings)):
            wav = library.samples(index)
            if wav is not None:
                seconds += len(wav) / SAMPLE_RATE
                yield wav

    start, done = time.monotonic(), 0
    for count in cache.fill(recordings()):
        done += count
        print(
            f"{done} of {len(library.recordings)} recordings, {seconds / 3600:.2f} h read",
            flush=True,
        )
        if options.minutes and time.monotonic() - start > 60 * options.minutes:
            break


if __name__ == "__main__":
    main()
