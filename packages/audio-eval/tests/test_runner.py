"""The runner: cache, resume after a kill, failures that count, judges behind the cache."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_eval.interfaces import (
    ComponentInfo,
    Item,
    Judge,
    JudgeUnavailableError,
    Metric,
    MetricResult,
    ScoringContext,
)
from audio_eval.scoring.cache import JsonlCache
from audio_eval.scoring.context import Context, JudgePool
from audio_eval.scoring.manifest import read_manifest
from audio_eval.scoring.runner import read_per_item, run_metric
from audio_eval.scoring.score import score_suite
from audio_eval.scoring.summary import summarize
from audio_eval.scoring.systems import CallableSystem
from audio_eval.suites import MetricEntry, Suite, load_suite, names
from mingtok_audio.core.audio import save_audio
from mingtok_audio.core.errors import UserError

RATE = 16000


class FileNameJudge(Judge):
    """Hears the number of samples; counts how often it is asked."""

    info = ComponentInfo(name="counting", version="1")
    role = "asr"

    def __init__(self, name: str = "one") -> None:
        self.name = name
        self.calls = 0

    def check(self) -> None:
        return

    def identity(self) -> str:
        return f"counting/{self.name}"

    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> Mapping[str, Any]:
        self.calls += 1
        return {"text": f"one two {len(wav)}"}


@pytest.fixture
def folders(tmp_path):
    """Three references with texts, outputs for two of them."""
    refs, hyps = tmp_path / "refs", tmp_path / "hyps"
    for folder in (refs, hyps):
        folder.mkdir()
    for k, name in enumerate("abc"):
        wav = np.random.default_rng(k).normal(0, 0.1, 8000 + k).astype(np.float32)
        save_audio(refs / f"{name}.wav", wav, RATE)
        (refs / f"{name}.txt").write_text(f"one two {8000 + k}")
        if name != "c":
            save_audio(hyps / f"{name}.wav", wav, RATE)
    return refs, hyps, tmp_path / "out"


SUITE = Suite("small", "", (MetricEntry("wer"), MetricEntry("mel_distance")), task="reconstruction")


def score(folders, judge: Judge | None = None, **more: Any) -> dict[str, Any]:
    refs, hyps, out = folders
    return score_suite(
        SUITE, refs, hyps, out, judges={"asr": judge or FileNameJudge()}, language="en", **more
    )


def test_results_have_the_contract_fields(folders):
    results = score(folders)
    for key in ("suite", "compat", "items", "failed", "metrics", "baselines", "per_item"):
        assert key in results
    assert (results["items"], results["failed"]) == (3, 1)
    wer = results["metrics"]["wer"]
    assert set(wer) >= {"value", "unit", "higher_is_better", "ci95", "n", "macro", "micro"}
    assert wer["n"] == 3
    assert wer["micro"] == pytest.approx(100 / 3)
    assert results["failures"] == [{"id": "c", "reason": "no output"}]
    assert results["metrics"]["mel_distance"]["n"] == 3
    written = json.loads((folders[2] / "results.json").read_text())
    assert written == json.loads(json.dumps(results))
    rows = read_per_item(Path(results["per_item"]))
    assert [r.item.id for r in rows] == ["a", "b", "c"]
    assert rows[2].metrics["wer"].status == "failed"


def test_a_rerun_asks_no_judge_and_a_changed_wav_is_scored_again(folders):
    hyps = folders[1]
    judge = FileNameJudge()
    first = score(folders, judge)
    assert judge.calls == 2
    assert score(folders, judge) == first
    assert judge.calls == 2
    save_audio(hyps / "b.wav", np.full(9000, 0.1, np.float32), RATE)
    changed = score(folders, judge)
    assert judge.calls == 3
    assert changed["metrics"]["wer"]["value"] > first["metrics"]["wer"]["value"]
    other = FileNameJudge("another version")
    score(folders, other)
    assert other.calls == 2


def test_workers_give_the_same(folders):
    one = score(folders)
    rows = (folders[2] / "per_item.jsonl").read_bytes()
    out = folders[2].with_name("out2")
    judge = FileNameJudge()
    many = score((*folders[:2], out), judge, workers=2)
    assert {**many, "per_item": ""} == {**one, "per_item": ""}
    assert (out / "per_item.jsonl").read_bytes() == rows
    # What the processes' judges said is in the cache: a run in this process asks none.
    assert score((*folders[:2], out), judge)["metrics"] == one["metrics"]
    assert judge.calls == 0


def test_a_judge_that_cannot_go_to_another_process_is_refused(folders):
    judge = FileNameJudge()
    judge.hook = lambda: None  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="use one worker"):
        score(folders, judge, workers=2)
    assert not (folders[2] / "results.json").exists()


class _Copies:
    """A system: copies the reference; fails on "b" until it is told not to; counts."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.broken = True

    def __call__(self, item: Item, folder: Path) -> Path:
        self.made.append(item.id)
        if item.id == "b" and self.broken:
            raise RuntimeError("no memory")
        target = folder / f"{item.id}.wav"
        target.write_bytes((item.reference or Path()).read_bytes())
        return target


def test_outputs_are_made_again_where_missing_failed_damaged_or_changed(folders):
    refs, _, out = folders
    system = _Copies()

    def run(resume: bool = True) -> dict[str, Any]:
        system.made.clear()
        return score_suite(
            SUITE, refs, None, out, system=CallableSystem(system), resume=resume,
            judges={"asr": FileNameJudge()}, language="en",
        )  # fmt: skip

    assert run(resume=False)["failed"] == 1
    assert system.made == ["a", "b", "c"]
    system.broken = False
    assert run()["failed"] == 0
    assert system.made == ["b"]
    run()
    assert system.made == []
    (out / "outputs" / "a.wav").write_bytes(b"cut short")
    save_audio(refs / "c.wav", np.full(9000, 0.1, np.float32), RATE)
    run()
    assert system.made == ["a", "c"]
    run(resume=False)
    assert system.made == ["a", "b", "c"]


def test_resume_refuses_another_run(folders):
    score(folders)
    score(folders, resume=True)
    with pytest.raises(UserError, match="cannot resume"):
        score(folders, resume=True, seed=7)


def test_json_file_as_output(folders):
    refs, hyps, out = folders
    results = score_suite(
        SUITE, refs, hyps, out.with_suffix(".json"), judges={"asr": FileNameJudge()}, language="en"
    )
    assert out.with_suffix(".json").is_file()
    assert results["per_item"] == str(out.parent / "out.items.jsonl")


def test_an_unreadable_output_fails_with_its_reason(folders):
    (folders[1] / "b.wav").write_bytes(b"RIFF, but no more")
    results = score(folders)
    assert {f["id"] for f in results["failures"]} == {"b", "c"}
    assert any("b.wav" in f["reason"] for f in results["failures"])
    assert results["metrics"]["wer"]["n"] == 3


def test_an_unavailable_judge_is_named_and_nothing_shrinks(folders):
    results = score_suite(SUITE, folders[0], folders[1], folders[2], judges_dir=None,
                          judges={"asr": _Absent()}, language="en")  # fmt: skip
    wer = results["metrics"]["wer"]
    assert (wer["value"], wer["status"]) == (None, "unavailable")
    assert "no model here" in wer["reason"]
    assert results["metrics"]["mel_distance"]["status"] == "ok"


class _Absent(FileNameJudge):
    def check(self) -> None:
        raise JudgeUnavailableError("no model here")


def test_reference_faults_are_not_the_systems(folders):
    (folders[0] / "a.wav").write_bytes(b"broken")
    distance = score(folders)["metrics"]["mel_distance"]
    assert (distance["n"], distance["unavailable"], distance["status"]) == (2, 1, "partial")
    assert "reference" in distance["reason"]
    unscored = score(folders)["unscored"]
    assert [row["id"] for row in unscored] == ["a"]
    assert "a.wav" in unscored[0]["reason"]


def test_missing_recordings_are_refused(folders, tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"id": "a", "audio": "refs/a.wav"}\n{"id": "z", "audio": "refs/z.wav"}\n')
    with pytest.raises(UserError, match=r"1 of its recordings are not there, the first is .*z.wav"):
        score_suite(SUITE, path, folders[1], folders[2])


class _Buggy(Metric):
    info = ComponentInfo(name="buggy")

    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        if item.id == "nan":
            return MetricResult(float("nan"))
        raise ZeroDivisionError("oops")


def test_a_buggy_metric_says_so():
    context = Context(JudgePool({}))
    for name, reason in (("x", "ZeroDivisionError: oops"), ("nan", "the value is nan")):
        found = run_metric(_Buggy(), Item(id=name), context)
        assert (found.status, found.reason) == ("unavailable", reason)
    summary = summarize(_Buggy(), [found])
    assert (summary.value, summary.status) == (None, "unavailable")


def test_intervals_are_seeded_and_cover():
    values = [MetricResult(float(v)) for v in np.random.default_rng(0).normal(5, 1, 100)]
    one, two = (summarize(_Buggy(), values, seed=s) for s in (0, 0))
    assert one == two
    assert one.ci95 is not None and one.value is not None
    low, high = one.ci95
    assert low < one.value < high
    # The standard error of 100 draws of deviation 1 is a tenth.
    assert high - low == pytest.approx(4 * 0.1, rel=0.25)
    assert summarize(_Buggy(), values, seed=1).ci95 != one.ci95


def test_a_cache_survives_a_torn_line(tmp_path):
    path = tmp_path / "c.jsonl"
    cache = JsonlCache(path)
    cache.put({"a": {"x": 1}, "b": {"x": 2}})
    cache.close()
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        again = JsonlCache(path)
        again.put({"c": {"x": 3}})
        again.close()
        last = JsonlCache(path)
        assert last.get("c") == {"x": 3}
        assert len(last) == 1 + whole[:cut].count(b"\n")
        last.close()


def test_a_suite_in_compat_mode_gives_the_published_figures(tmp_path):
    golden = json.loads((Path(__file__).parent / "data" / "edit_scores.json").read_text("utf-8"))
    key = "zh_sub_open"
    cases = [c for c in golden["cases"] if c["uid"].startswith(key)]
    meta = tmp_path / "meta_zh_substitution.csv"
    fields = ("uid", "uid", "instruction", "original_text", "edited_text")
    rows = ["file_name|path|instruction|original_text|edited_text"]
    rows += ["|".join(c[f] for f in fields) for c in cases]
    meta.write_text("\n".join(rows), "utf-8")
    items = [item.replace(source=None) for item in read_manifest(meta)]
    heard = tmp_path / "heard.jsonl"
    lines = [json.dumps({"id": c["uid"], "text": c["hypothesis"]}) for c in cases]
    heard.write_text("\n".join(lines), "utf-8")
    results = score_suite(
        "edit_semantic", items, heard, tmp_path / "out", compat="ming", baselines=(),
        metrics=("wer", "acc", "no_edit_wer"),
    )  # fmt: skip
    expected = golden["expected"][key]
    found = results["metrics"]
    assert round(found["wer"]["value"], 3) == expected["wer_macro_percent"]
    assert f"WER = {found['wer']['micro']:.2f}," in expected["wer_micro_line"]
    assert found["acc"]["value"] == expected["acc_percent"]
    assert f"WER = {found['no_edit_wer']['value']:.2f}," in expected["no_edit_wer_line"]
    assert set(results["groups"]) == {"zh_substitution_full"}


def test_baselines_stand_beside(tmp_path):
    rng = np.random.default_rng(0)
    save_audio(tmp_path / "s.wav", rng.normal(0, 0.1, 32000).astype(np.float32), RATE)
    item = Item(
        id="a", audio=tmp_path / "s.wav", source=tmp_path / "s.wav", task="deletion",
        text="one three four five six", original_text="one two three four five six", language="en",
    )  # fmt: skip
    results = score_suite(
        "edit_semantic", [item], None, tmp_path / "out", judges={"asr": _Words()},
        metrics=("acc", "preservation"),
    )  # fmt: skip
    assert set(results["baselines"]) == {"source", "oracle_splice"}
    assert results["metrics"]["acc"]["value"] == 0.0
    splice = results["baselines"]["oracle_splice"]
    assert splice["preservation"]["value"] == 100.0
    # The judge says "one two three ..." of anything as long as the source, less of shorter clips.
    assert splice["acc"]["value"] == 100.0


class _Words(FileNameJudge):
    """Hears the edited sentence in a shorter recording, with word times every 0.3 s."""

    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> Mapping[str, Any]:
        text = "one two three four five six" if len(wav) == 32000 else "one three four five six"
        words = [
            {"text": w, "start": 0.1 + 0.3 * k, "end": 0.4 + 0.3 * k}
            for k, w in enumerate(text.split())
        ]
        return {"text": text, "words": words}


def test_all_suites_load_and_their_metrics_exist():
    from audio_eval.plugins import create_metric

    assert set(names()) == {
        "reconstruction", "tts", "asr", "context_asr", "edit_semantic", "edit_acoustic",
        "speech_edit_bench",
    }  # fmt: skip
    for name in names():
        suite = load_suite(name)
        assert suite.summary
        for entry in suite.metrics:
            assert create_metric(entry.name, **entry.options).info.name == entry.name
    with pytest.raises(UserError, match="no suite 'recon'"):
        load_suite("recon")


SLOW_SCRIPT = """
import sys, time
from pathlib import Path
from audio_eval.interfaces import ComponentInfo, Judge
from audio_eval.scoring.score import score_suite
from audio_eval.suites import MetricEntry, Suite

class Slow(Judge):
    info = ComponentInfo(name="slow", version="1")
    role = "asr"
    def check(self): pass
    def identity(self): return "slow/1"
    def evaluate(self, wav, sample_rate, **request):
        with open(sys.argv[2], "a") as log:
            log.write(f"{len(wav)}\\n")
        time.sleep(0.01)
        return {"text": f"item {len(wav)}"}

suite = Suite("s", "", (MetricEntry("wer"), MetricEntry("cer")), task="reconstruction")
root = Path(sys.argv[1])
score_suite(suite, root / "m.jsonl", root / "hyps", Path(sys.argv[3]), judges={"asr": Slow()},
            language="en", resume=True)
"""


def test_kill_in_the_middle_then_resume(tmp_path):
    hyps = tmp_path / "hyps"
    hyps.mkdir()
    rows = []
    for k in range(200):
        save_audio(hyps / f"u{k}.wav", np.full(400 + k, 0.1, np.float32), RATE)
        rows.append(json.dumps({"id": f"u{k}", "text": f"item {400 + k + k % 2}"}))
    (tmp_path / "m.jsonl").write_text("\n".join(rows))
    script = tmp_path / "run.py"
    script.write_text(SLOW_SCRIPT)

    def start(log: str, out: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, str(script), str(tmp_path), str(tmp_path / log)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen([*words, str(tmp_path / out)], env=environment)

    assert start("calm.log", "calm").wait() == 0
    log = tmp_path / "killed.log"
    for target in (60, 130):
        process = start("killed.log", "killed")
        while not log.exists() or log.read_text().count("\n") < target:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "killed" / "results.json").exists()
    assert start("killed.log", "killed").wait() == 0
    calm, killed = (
        json.loads((tmp_path / n / "results.json").read_text()) for n in ("calm", "killed")
    )
    for results in (calm, killed):
        del results["per_item"]
    assert killed == calm
    assert killed["metrics"]["wer"]["n"] == 200
    heard = log.read_text().split()
    # An item in hand at a kill may be asked again, no other.
    assert len(set(heard)) == 200
    assert len(heard) <= 202
