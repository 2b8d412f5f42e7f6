"""The editor as a system of audio-eval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

eval_interfaces = pytest.importorskip("audio_eval.interfaces")


def test_system_edits_items_and_fails_in_words(tmp_path: Path) -> None:
    from uniaudio_edit.eval_system import UniaudioEdit, register_components

    (spec,) = register_components()
    assert (spec.slot, spec.name) == ("system", "uniaudio_edit")
    wav = 0.1 * np.random.default_rng(0).standard_normal(16000)
    soundfile.write(tmp_path / "in.wav", wav, 16000)
    system = UniaudioEdit()
    words = [{"text": "one", "start": 0.1, "end": 0.4}, {"text": "two", "start": 0.5, "end": 0.9}]
    item = eval_interfaces.Item(
        id="a",
        source=tmp_path / "in.wav",
        instruction="delete 'one'",
        original_text="one two",
        parameters={"words": words},
    )
    made = system.produce(item, tmp_path / "out")
    assert made.audio == tmp_path / "out" / "a.wav"
    assert made.audio is not None
    assert len(soundfile.read(made.audio)[0]) < 16000 - 0.25 * 16000
    assert (tmp_path / "out" / "a.receipt.json").is_file()
    with pytest.raises(eval_interfaces.ItemFailedError, match="voice"):
        missing = item.replace(instruction="replace 'one' with 'x'")
        UniaudioEdit(model="nano-v0").produce(missing, tmp_path / "out")
    assert system.identity() != UniaudioEdit(which="first").identity()


def test_audio_eval_finds_it() -> None:
    plugins = pytest.importorskip("audio_eval.plugins")
    rows = [
        row
        for row in plugins.make_host().table()
        if row["slot"] == "system" and row["name"] == "uniaudio_edit"
    ]
    assert [row["status"] for row in rows] == ["ok"]
