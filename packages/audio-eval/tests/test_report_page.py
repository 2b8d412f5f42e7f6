"""The report: one page that needs nothing else, honest about what is missing; tables and CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from audio_eval.interfaces import Item, ItemResult, MetricResult, MetricSummary
from audio_eval.report import charts, tables, write_html, write_reports
from audio_eval.report.audio import Players
from audio_eval.report.ranking import worst_first
from audio_eval.report.texts import unified
from mingtok_audio.core.audio import save_audio
from mingtok_audio.core.cli import make_app
from mingtok_audio.core.errors import UserError

EVIL = "<script>alert('x')</script> & \"quotes\" | bars"
VOID = {"meta", "br", "input", "path", "line", "circle", "rect"}


class _Checker(HTMLParser):
    """Collects what a page refers to, and whether its tags are balanced."""

    def __init__(self):
        super().__init__()
        self.open, self.problems, self.sources, self.counts = [], [], [], {}

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.sources += [v for k, v in attrs if k in ("src", "href", "data") and v]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(tag)


def _check(html):
    checker = _Checker()
    checker.feed(html)
    assert not checker.problems and not checker.open
    return checker


def _summary(value, unit="%", better=False, **more):
    ci95 = None if value is None else (value - 1, value + 1)
    return MetricSummary(value, unit, better, ci95, n=3, **more).to_dict()


@pytest.fixture
def run(tmp_path):
    """A small run of three items with a baseline; one output is missing."""
    for name in ("source", "good", "bad"):
        save_audio(
            tmp_path / f"{name}.wav", np.sin(np.arange(8000) / 9).astype(np.float32) * 0.3, 16000
        )
    common = {
        "language": "en",
        "task": "deletion",
        "mode": "full",
        "source": tmp_path / "source.wav",
    }
    first = Item("good", tmp_path / "good.wav", text="one three", original_text="one two three",
                 instruction="delete 'two'", **common)  # fmt: skip
    second = Item(
        "bad", tmp_path / "bad.wav", text=EVIL, original_text="a", instruction=EVIL, **common
    )
    third = Item(
        "gone", None, text="今天很好", original_text="今天不很好", **{**common, "language": "zh"}
    )
    wer = [
        MetricResult(
            0.0, details={"ref": "one three", "hyp": "One, three.", "S": 0, "D": 0, "I": 0, "N": 2}
        ),
        MetricResult(
            50.0, details={"ref": EVIL, "hyp": "one <b>two</b>", "S": 1, "D": 0, "I": 0, "N": 2}
        ),
        MetricResult.failed(
            "no output", 100.0, {"ref": "今天很好", "hyp": "", "S": 0, "D": 4, "I": 0, "N": 4}
        ),
    ]
    acc = [MetricResult(100.0), MetricResult(0.0), MetricResult.failed("no output", 0.0)]
    sim = [MetricResult.unavailable("no speaker judge: install <x>")] * 3
    rows = [
        ItemResult(item, {"acc": a, "wer": w, "sim": s}, error=w.reason)
        for item, a, w, s in zip((first, second, third), acc, wer, sim, strict=True)
    ]
    rows.append(ItemResult(first, {"acc": MetricResult(0.0), "wer": MetricResult(33.3)}, "source"))
    missing = _summary(None, "", True, status="unavailable", reason="no speaker judge: install <x>")
    groups = {
        "en_deletion_full": {"acc": _summary(50.0, better=True), "wer": _summary(25.0)},
        "zh_deletion_full": {"acc": _summary(0.0, better=True), "wer": _summary(100.0)},
    }
    results = {
        "suite": "edit_semantic", "compat": "none", "items": 3, "failed": 1, "seed": 7,
        "metrics": {"acc": _summary(33.3, better=True), "wer": _summary(50.0), "sim": missing},
        "baselines": {"source": {"acc": _summary(0.0, better=True), "wer": _summary(33.3)}},
        "groups": groups, "judges": {"asr": "whisper-base"}, "version": "0.1.0",
        "per_item": "per_item.jsonl", "failures": [{"id": "gone", "reason": "no output"}],
        "metric_info": {"wer": {"summary": "word error rate"}},
    }  # fmt: skip
    return results, rows


def test_the_page_holds_everything_and_refers_to_nothing_outside(run, tmp_path):
    results, rows = run
    write_html(tmp_path / "r.html", results, rows)
    html = (tmp_path / "r.html").read_text("utf-8")
    found = _check(html)
    inside = [s for s in found.sources if s.startswith(("data:", "#"))]
    assert inside == found.sources
    assert not re.search(r"https?://|@import|url\(", html)
    assert found.counts["audio"] == 5  # source and output of two items, source of the third
    assert "delete &#x27;two&#x27;" in html
    assert "<del>two</del>" in html
    assert "no speaker judge: install &lt;x&gt;" in html  # says why a number is not there
    assert "Source unchanged" in html and "whisper-base" in html
    for place in ("summary", "metrics", "groups", "worst", "failures", "items", "method"):
        assert f'id="{place}"' in html


def test_texts_of_items_cannot_become_markup(run, tmp_path):
    results, rows = run
    write_html(tmp_path / "r.html", results, rows, title="<i>me</i>")
    html = (tmp_path / "r.html").read_text("utf-8")
    assert "<script>alert" not in html
    assert "<b>two" not in html and "<i>me" not in html
    assert html.count("<script>") == 1  # the page's own


def test_the_worst_come_first(run):
    results, rows = run
    ranked, used = worst_first([r for r in rows if r.system == "system"], results["metrics"])
    assert [row.item.id for row in ranked] == ["gone", "bad", "good"]
    assert used == ["acc", "wer"]


def test_worst_ranks_share_ties_and_know_the_better_side():
    rows = [
        ItemResult(Item(name), {"sim": MetricResult(s), "wer": MetricResult(w)})
        for name, s, w in (("a", 0.9, 10.0), ("b", 0.9, 0.0), ("c", 0.2, 10.0), ("d", 0.5, 0.0))
    ]
    metrics = {"sim": {"higher_is_better": True}, "wer": {"higher_is_better": False}}
    ranked, _ = worst_first(rows, metrics)
    assert [row.item.id for row in ranked] == ["c", "a", "d", "b"]


def test_players_keep_to_their_budget(tmp_path):
    save_audio(
        tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32), 16000
    )
    page = tmp_path / "out" / "r.html"
    generous, tight = Players(page), Players(page, budget=1000)
    assert 'src="data:audio/flac;base64,' in generous.player(tmp_path / "a.wav", "Output")
    assert generous.used > 10_000 and generous.linked == 0
    assert 'src="../a.wav"' in tight.player(tmp_path / "a.wav", "Output")
    assert tight.linked == 1 and tight.used == 0
    assert 'src="../a.wav"' in Players(page, "link").player(tmp_path / "a.wav", "Output")
    assert Players(page, "none").player(tmp_path / "a.wav", "Output") == ""
    (tmp_path / "b.wav").write_bytes(b"nothing")
    assert "cannot be decoded" in generous.player(tmp_path / "b.wav", "Output")
    assert "file not found" in generous.player(tmp_path / "c.wav", "Output")
    assert "no recording" in generous.player(None, "Output")
    odd = tmp_path / 'we"ird #1.wav'
    odd.write_bytes((tmp_path / "a.wav").read_bytes())
    assert 'src="../we%22ird%20%231.wav"' in Players(page, "link").player(odd, "x")


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("one two three", "One, three.", "One, <del>two</del> three."),
        ("press one", "press nine now", "press <del>one</del> <ins>nine now</ins>"),
        ("今天不很好", "今天很好了", "今天<del>不</del>很好<ins>了</ins>"),
        ("don't", "don’t", "don’t"),
        ("", "a < b", "<ins>a &lt; b</ins>"),
        ("gone", "", "<del>gone</del>"),
    ],
)
def test_text_diffs(old, new, shown):
    assert unified(old, new) == shown


def test_axes_are_round_and_span_the_data():
    assert charts.nice_ticks(0, 100) == [0, 25, 50, 75, 100]
    assert charts.nice_ticks(0.0, 0.0)[0] < 0 < charts.nice_ticks(0.0, 0.0)[-1]
    for low, high in ((0.13, 0.97), (-5, 1), (1e-6, 2e-6), (99.9, 100.0)):
        ticks = charts.nice_ticks(low, high)
        assert ticks[0] <= low + 1e-12 and ticks[-1] >= high - 1e-12
        assert 2 <= len(ticks) <= 7
    with pytest.raises(ValueError, match="no axis"):
        charts.nice_ticks(float("nan"), 1)


def test_charts_show_every_series():
    values = [1.0, 2.0, 2.0, 50.0]
    picture = charts.histogram([(0, "System", values), (1, "a < b", values[:2])], "%")
    assert _check(picture).counts["path"] == 2
    assert "a &lt; b: mean 1.50 %" in picture
    bars = charts.shares([(0, "System", [100.0, 0.0, 100.0])])
    assert "2/3" in bars
    _check(bars)
    rows = [(0, "System", _summary(5.0)), (1, "Other", {"value": 3.0, "unit": "%"})]
    assert _check(charts.intervals(rows, "%")).counts["circle"] == 2


def test_csv_keeps_every_item_and_status(run):
    results, rows = run
    table = list(csv.DictReader(io.StringIO(tables.csv_per_item(rows))))
    assert len(table) == 4
    assert table[1]["text"] == EVIL
    assert (table[2]["wer"], table[2]["wer_status"], table[2]["error"]) == (
        "100.0",
        "failed",
        "no output",
    )
    assert (table[0]["sim"], table[0]["sim_status"]) == ("", "unavailable")
    assert table[3]["sim_status"] == "absent"
    assert table[0]["heard"] == "One, three."
    summary = list(csv.DictReader(io.StringIO(tables.csv_summary(results))))
    assert {(r["system"], r["group"]) for r in summary} == {
        ("system", "all"),
        ("source", "all"),
        ("system", "en_deletion_full"),
        ("system", "zh_deletion_full"),
    }


def test_markdown_is_a_table_with_the_reasons(run):
    text = tables.markdown(run[0])
    assert "| wer (%) ↓ | 50.00 [49.00, 51.00] | 33.30 [32.30, 34.30] | 3 |" in text
    assert "- sim: no speaker judge" in text
    assert "## By group" in text
    widths = {line.count("|") for line in text.split("## By group")[0].splitlines() if "|" in line}
    assert len(widths) == 1


def test_all_reports_of_a_run(run, tmp_path):
    written = write_reports(*run, tmp_path / "out")
    names = {path.name for path in written}
    assert names == {"report.html", "per_item.csv", "summary.csv", "summary.md"}
    assert all(path.stat().st_size for path in written)


def test_the_command(run, tmp_path):
    from audio_eval.report.cli import register

    app = make_app("audio-eval", "test", "audio-eval")
    register(app)
    results, rows = run
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps(results))
    lines = [json.dumps(row.to_dict(), default=str) for row in rows]
    (folder / "per_item.jsonl").write_text("\n".join(lines))
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("# edit_semantic: 3 items")
    outputs = {name: tmp_path / name for name in ("a.html", "a.csv", "s.csv", "a.md")}
    args = ["report", str(folder), "--html", str(outputs["a.html"]), "--csv", str(outputs["a.csv"])]
    args += ["--summary-csv", str(outputs["s.csv"]), "--markdown", str(outputs["a.md"])]
    args += ["--audio", "link", "--worst", "1"]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    assert all(path.is_file() for path in outputs.values())
    html = outputs["a.html"].read_text("utf-8")
    assert html.count('class="card item"') == 1
    done = CliRunner().invoke(app, ["report", str(folder), "--audio", "loud"])
    assert isinstance(done.exception, UserError)
    done = CliRunner().invoke(app, ["report", str(Path("nowhere"))])
    assert "no such file" in str(done.exception)
