"""The model as a system of audio-eval: each item's task, its entities, its voice, one load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mingtok_audio.core.audio import load_audio, save_audio

interfaces = pytest.importorskip("audio_eval.interfaces")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    wav = 0.1 * np.random.default_rng(0).standard_normal(12000).astype(np.float32)
    save_audio(tmp_path / "in.wav", wav, 16000)
    return tmp_path / "in.wav"


def test_each_task_is_done_with_one_model(
    small_folder: Path, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uniaudio_lm import UniAudio
    from uniaudio_lm.eval_system import Uniaudio, register_components

    (spec,) = register_components()
    assert (spec.slot, spec.name) == ("system", "uniaudio")
    loads: list[Any] = []
    load, heard = UniAudio.from_pretrained, UniAudio.transcribe
    monkeypatch.setattr(
        UniAudio, "from_pretrained", lambda *a, **k: loads.append(a) or load(*a, **k)
    )
    hints: list[list[str]] = []

    def transcribe(self: UniAudio, *args: Any, **options: Any) -> Any:
        hints.append(list(options["hotwords"]))
        return heard(self, *args, **options)

    monkeypatch.setattr(UniAudio, "transcribe", transcribe)
    system, out = Uniaudio(str(small_folder)), tmp_path / "out"
    for names in (["Anna Bell", "Ada"], ["Paris"]):
        item = interfaces.Item(
            id="a", reference=recording, task="context_asr", parameters={"entities": names}
        )
        assert isinstance(system.produce(item, out).text, str)
    Uniaudio(str(small_folder), entities=False).produce(item, out)
    plain = interfaces.Item(id="b", reference=recording, task="asr")
    made = system.produce(plain, out)
    model = load(small_folder)
    assert made.text == model.transcribe(*load_audio(recording), hotwords=()).text
    assert hints[:4] == [["Anna Bell", "Ada"], ["Paris"], [], []]
    assert len(loads) == 2  # one of each system
    copy = system.produce(plain.replace(task="reconstruction"), out)
    assert copy.audio is not None and copy.audio.parent == out
    assert len(load_audio(copy.audio)[0]) == 12000
    spoken = [
        system.produce(
            interfaces.Item(
                id=name, source=source, text="hi", task="tts", parameters={"prompt_text": "one"}
            ),
            out,
        )
        for name, source in (("plain", None), ("voice", recording))
    ]
    plain_wav, voiced = (load_audio(str(made.audio))[0] for made in spoken)
    assert len(plain_wav) != len(voiced) or not np.array_equal(plain_wav, voiced)


def test_what_an_item_lacks_is_its_failure(small_folder: Path, tmp_path: Path) -> None:
    from uniaudio_lm.eval_system import Uniaudio

    system = Uniaudio(str(small_folder))
    for item, words in (
        (interfaces.Item(id="a", task="asr"), "no recording"),
        (interfaces.Item(id="a", task="tts"), "no text"),
        (interfaces.Item(id="a", task="deletion"), "asr, context_asr"),
    ):
        with pytest.raises(interfaces.ItemFailedError, match=words):
            system.produce(item, tmp_path)
    assert system.identity() != Uniaudio(str(small_folder), beams=4).identity()


def test_context_asr_runs_in_one_command(
    small_folder: Path, recording: Path, tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    cli = pytest.importorskip("audio_eval.cli")
    rows = [
        {"uniq_id": f"q{i}", "audio": str(recording), "text": "Anna Bell spoke",
         "entity_list": ["Anna Bell"]}
        for i in range(3)
    ]  # fmt: skip
    manifest = tmp_path / "ContextASR-Speech_English.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = CliRunner().invoke(
        cli.app,
        ["score", "context_asr", "--refs", str(manifest), "--system",
         f"uniaudio:model={small_folder},beams=2,entities=true", "-o", str(tmp_path / "run")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "run" / "results.json").read_text())
    assert {"wer", "ne_wer", "ne_fnr"} <= set(json.dumps(found).replace('"', " ").split())


@pytest.mark.parametrize("entities", ["Anna", {"a": 1}, ["a", 3], 5, [["a"]]])
def test_entity_lists_of_a_wrong_type_are_refused(entities: Any, tmp_path: Path) -> None:
    from audio_eval.scoring.manifest import read_manifest
    from mingtok_audio.core.errors import UserError

    manifest = tmp_path / "m.jsonl"
    manifest.write_text(json.dumps({"id": "a", "audio": "a.wav", "entity_list": entities}))
    with pytest.raises(UserError, match="line 1: 'entities' must be a list of strings"):
        read_manifest(manifest)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("uniaudio:beams=-1", "negative"),
        ("uniaudio:task=sing", "asr, context_asr"),
        ("uniaudio:beam=2", "beam"),
        ("uniaudio:beams", "option=value"),
    ],
)
def test_wrong_options_are_one_line(text: str, words: str) -> None:
    from audio_eval.commands import make_system
    from mingtok_audio.core.errors import UserError

    with pytest.raises(UserError, match=words) as found:
        make_system(text)
    assert "\n" not in str(found.value)
