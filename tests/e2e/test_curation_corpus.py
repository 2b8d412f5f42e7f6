"""`recipes/curation`: a corpus of known truth is the same twice; the evaluation sees mistakes."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from curation_audio import silence, speech, write

pytest.importorskip("scipy")

FOLDER = Path(__file__).resolve().parents[2] / "recipes" / "curation"
Row = dict[str, Any]


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"curation_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`make(name)` builds the corpus in a folder of that name."""
    root = tmp_path_factory.mktemp("corpus")
    corpus = _script("corpus")
    rows = []
    for speaker in range(5):
        for k in range(9):
            wav = speech(3.6 + 0.1 * k, 100 + 25 * speaker, seed=10 * speaker + k)
            name = f"{speaker}-{k}.wav"
            write(root / name, silence(0.3), wav, silence(0.3))
            language = "zh" if speaker == 4 else "en"
            rows.append(
                {"id": name, "audio": name, "speaker": str(speaker), "corpus": "made",
                 "language": language, "seconds": 4.2 + 0.1 * k, "split": "test",
                 "text": f"sentence {k} that speaker {speaker} says"}
            )  # fmt: skip
    (root / "speech.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    noise = np.random.default_rng(0).normal(0, 0.05, 32000).astype(np.float32)
    write(root / "noise.wav", noise)
    (root / "noise.jsonl").write_text(
        json.dumps({"id": "n", "audio": "noise.wav", "kind": "noise"}) + "\n"
    )

    def build(name: str) -> Path:
        words = ["corpus.py", str(root / "speech.jsonl"), str(root / "noise.jsonl")]
        more = ["-o", str(root / name), "--dialogues", "2", "--seconds", "25", "--texts", "8"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                sys, "argv",
                [*words, *more, "--ladders", "1", "--copies", "1", "--languages", "en", "zh"],
            )  # fmt: skip
            corpus.main()
        return root / name

    return build


@pytest.fixture(scope="module")
def truth(make: Callable[[str], Path]) -> dict[str, Any]:
    return json.loads((make("one") / "truth.json").read_text())


def test_the_same_seed_gives_the_same_bytes(make: Callable[[str], Path], truth: Any) -> None:
    one, two = make("one"), make("two")
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert len(names) == len(truth["files"]) + 2
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    kinds = {file["kind"] for file in truth["files"]}
    assert kinds == {"dialogue", "text", "ladder", "copy", "silence", "music", "noise"}
    for file in truth["files"]:
        ends = [(event["start"], event["end"]) for event in file["events"]]
        assert ends[0][0] == 0 and ends[-1][1] == file["seconds"]
        assert all(a[1] == b[0] for a, b in itertools.pairwise(ends))


def _perfect(truth: dict[str, Any]) -> list[Row]:
    """The manifest that makes no mistake."""
    rows: list[Row] = []
    for file in truth["files"]:
        at = 0.0
        for event in file["events"]:
            if event["what"] != "speech":
                continue
            start, end = event["speech"][0][0], event["speech"][-1][1]
            rows += [_row(file, at, start, None), _row(file, start, end, event)]
            at = end
        rows.append(_row(file, at, file["seconds"], None))
    return [row for row in rows if row["seconds"] > 0]


def _row(file: Row, start: float, end: float, event: Row | None) -> Row:
    row: Row = {
        "source": f"audio/{file['name']}.wav", "start": start, "end": end, "seconds": end - start,
        "speaker": None, "language": None, "kept": event is not None, "snr": None, "dnsmos": None,
        "reason": None if event is not None else "no_speech", "cross_wer": None, "music": None,
        "clipping": None, "duplicate_group": None,
    }  # fmt: skip
    if event is not None:
        condition = event["condition"]
        row |= {"speaker": event["speaker"], "language": event["language"]}
        row |= {"clipping": 0.1 * (condition == "clipped"), "music": float(condition == "music")}
        row["duplicate_group"] = event["recording"]
        row["snr"] = {"clean": 50.0, "snr20": 20.0, "snr10": 10.0, "snr0": 0.0}.get(condition, 30.0)
        if "text_right" in file:
            row["cross_wer"] = 0.0 if file["text_right"] else 1.0
    return row


def test_a_manifest_without_mistakes_is_perfect(truth: dict[str, Any]) -> None:
    found = _script("evaluate").evaluate(truth, _perfect(truth))
    assert found["files_without_rows"] == found["files_whose_rows_do_not_add_up"] == []
    assert (found["speech"]["precision"], found["speech"]["recall"]) == (1.0, 1.0)
    assert found["speakers"]["error"] == 0.0 and found["speakers"]["right_number"] == 2
    borders = found["borders"]
    assert (borders["inside_words"], borders["changes_found"], borders["of_one_speaker"]) == (
        0,
        1,
        1,
    )
    assert found["language"]["right"] == 1.0 and found["language"]["unknown"] == 0
    for name in ("clipping", "given_texts"):
        assert (found[name]["precision"], found[name]["recall"]) == (1.0, 1.0)
    assert found["duplicates"]["all"]["recall"] == found["duplicates"]["copies"]["precision"] == 1.0
    assert found["quality"]["snr"] == {"right_order": 1.0, "pairs": 6}
    assert set(found["funnel"]["music"]) == {"no_speech"}


def _changed(rows: list[Row], change: Callable[[int, Row], Row]) -> list[Row]:
    said = iter(range(len(rows)))
    return [row if row["reason"] else row | change(next(said), row) for row in rows]


_FAULTS: dict[str, tuple[Callable[[int, Row], Row], Callable[[dict], bool]]] = {
    "late": (
        lambda _, r: {"start": r["start"] + 0.6, "seconds": r["seconds"] - 0.6},
        lambda f: f["speech"]["recall"] < 0.9
        and f["borders"]["inside_words"] > 0.3
        and bool(f["files_whose_rows_do_not_add_up"]),
    ),
    "one speaker": (lambda _, r: {"speaker": "0"}, lambda f: f["speakers"]["error"] > 0.2),
    "language": (lambda i, r: {"language": "en"}, lambda f: f["language"]["right"] < 1),
    "texts": (
        lambda _, r: {"cross_wer": None if r["cross_wer"] is None else 1.0},
        lambda f: f["given_texts"]["precision"] == 0.5 and f["given_texts"]["recall"] == 1.0,
    ),
    "duplicates": (
        lambda i, r: {"duplicate_group": "all"},
        lambda f: f["duplicates"]["all"]["precision"] < 0.3,
    ),
    "order": (
        lambda _, r: {"snr": -r["snr"]}, lambda f: f["quality"]["snr"]["right_order"] == 0.0,
    ),
    "dropped": (
        lambda _, r: {"kept": False, "reason": "no_speech"},
        lambda f: f["speech"]["recall"] == 0.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_mistake_shows(truth: dict[str, Any], fault: str) -> None:
    change, shows = _FAULTS[fault]
    assert shows(_script("evaluate").evaluate(truth, _changed(_perfect(truth), change)))
