"""Paired comparison: hand-worked cases of every test, and what is left out is said."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from audio_eval.interfaces import Item, ItemResult, MetricResult
from audio_eval.scoring.compare import compare, compare_text
from mingtok_audio.core.cli import make_app
from mingtok_audio.core.errors import UserError

INFO = {
    "acc": {"unit": "%", "higher_is_better": True},
    "wer": {"unit": "%", "higher_is_better": False},
    "sim": {"unit": "", "higher_is_better": True},
    "duration": {"unit": "s", "higher_is_better": None},
}


def _counts(errors, length):
    details = {"S": errors, "D": 0, "I": 0, "N": length}
    return MetricResult(100.0 * errors / length, details=details)


def _run(folder, columns, *, texts=None, system="system", judges="whisper"):
    """Write a run: `columns` maps a metric to values (or results) by item id."""
    ids = list(dict.fromkeys(name for column in columns.values() for name in column))
    rows, summaries = [], {}
    for name in ids:
        results = {
            metric: value if isinstance(value, MetricResult) else MetricResult(float(value))
            for metric, column in columns.items()
            if (value := column.get(name)) is not None
        }
        item = Item(name, text=(texts or {}).get(name, f"text of {name}"), language="en")
        rows.append(json.dumps(ItemResult(item, results, system).to_dict()))
    for metric, column in columns.items():
        results = [
            v if isinstance(v, MetricResult) else MetricResult(float(v)) for v in column.values()
        ]
        values = [r.value for r in results if r.value is not None]
        summary = {
            "value": float(np.mean(values)) if values else None,
            "micro": None,
            **INFO[metric],
        }
        if results and all("N" in r.details for r in results):
            rate = 100 * sum(r.details["S"] for r in results) / sum(r.details["N"] for r in results)
            summary |= {"value": rate, "micro": rate}
        summaries[metric] = summary
    folder.mkdir(parents=True)
    results = {"suite": "s", "compat": "none", "judges": {"asr": judges}, "metrics": summaries}
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "per_item.jsonl").write_text("\n".join(rows) + "\n")
    return folder


def test_mcnemar_is_the_exact_binomial(tmp_path):
    # 9 items change to right, 1 to wrong, 10 stay: two-sided binomial(10, 1/2).
    a = {f"i{k}": 100.0 if k in (0, 15) else 0.0 for k in range(20)}
    b = dict(a, i0=0.0) | {f"i{k}": 100.0 for k in range(1, 10)}
    result = compare(_run(tmp_path / "a", {"acc": a}), _run(tmp_path / "b", {"acc": b}))
    row = result["metrics"]["acc"]
    assert row["test"] == "mcnemar exact"
    assert row["p_value"] == pytest.approx(2 * (1 + 10) / 2**10)
    assert (row["wins"], row["losses"], row["ties"]) == (9, 1, 10)
    assert row["difference"] == pytest.approx(40.0)
    assert row["better"] == "b"
    low, high = row["ci95"]
    assert 0 < low < 40 < high


def test_few_items_are_permuted_exactly(tmp_path):
    # Three items, all better by different amounts: only the observed and the opposite labelling
    # reach the observed difference, so p = 2 / 2^3.
    a, b = {"x": 0.1, "y": 0.2, "z": 0.3}, {"x": 0.2, "y": 0.5, "z": 0.9}
    result = compare(_run(tmp_path / "a", {"sim": a}), _run(tmp_path / "b", {"sim": b}))
    row = result["metrics"]["sim"]
    assert row["test"] == "permutation exact"
    assert row["p_value"] == pytest.approx(0.25)
    assert row["difference"] == pytest.approx(1.0 / 3)
    assert row["better"] is None


def test_a_large_clear_difference_is_found_and_a_null_one_is_not(tmp_path):
    rng = np.random.default_rng(0)
    base = {f"i{k}": float(v) for k, v in enumerate(rng.normal(0.5, 0.1, 60))}
    better = {k: v + 0.05 + float(rng.normal(0, 0.02)) for k, v in base.items()}
    noisy = {k: v + float(rng.normal(0, 0.02)) for k, v in base.items()}
    runs = {
        n: _run(tmp_path / n, {"sim": c}) for n, c in (("a", base), ("b", better), ("c", noisy))
    }
    found = compare(runs["a"], runs["b"])["metrics"]["sim"]
    assert found["p_value"] < 0.001 and found["better"] == "b"
    assert found["ci95"][0] > 0
    null = compare(runs["a"], runs["c"])["metrics"]["sim"]
    assert null["p_value"] > 0.05 and null["better"] is None
    swapped = compare(runs["b"], runs["a"])["metrics"]["sim"]
    assert swapped["difference"] == pytest.approx(-found["difference"])
    assert swapped["better"] == "a"


def test_p_values_are_uniform_where_nothing_differs(tmp_path):
    rng = np.random.default_rng(1)
    small = 0
    for k in range(60):
        a = {f"i{j}": float(rng.normal()) for j in range(12)}
        b = {f"i{j}": float(rng.normal()) for j in range(12)}
        runs = _run(tmp_path / f"a{k}", {"sim": a}), _run(tmp_path / f"b{k}", {"sim": b})
        small += compare(*runs, resamples=200)["metrics"]["sim"]["p_value"] <= 0.2
    assert 4 <= small <= 22  # 12 expected; both bounds are beyond three standard deviations


def test_micro_rates_weigh_items_by_length(tmp_path):
    a = {"long": _counts(10, 100), "short": _counts(1, 1)}
    b = {"long": _counts(5, 100), "short": _counts(1, 1)}
    row = compare(_run(tmp_path / "a", {"wer": a}), _run(tmp_path / "b", {"wer": b}))["metrics"][
        "wer"
    ]
    assert row["average"] == "micro"
    assert row["a"] == pytest.approx(100 * 11 / 101)
    assert row["difference"] == pytest.approx(-100 * 5 / 101)
    assert (row["wins"], row["losses"], row["ties"]) == (1, 0, 1)  # fewer errors are better
    assert row["p_value"] == 1.0  # one item that differs can prove nothing


def test_equal_runs_differ_in_nothing(tmp_path):
    values = {f"i{k}": k / 10 for k in range(20)}
    runs = _run(tmp_path / "a", {"sim": values}), _run(tmp_path / "b", {"sim": values})
    row = compare(*runs)["metrics"]["sim"]
    assert (row["difference"], row["p_value"], row["ci95"]) == (0.0, 1.0, [0.0, 0.0])


def test_mismatches_are_listed_and_left_out(tmp_path):
    a = _run(tmp_path / "a", {"sim": {"x": 0.1, "y": 0.2, "z": 0.3}})
    b = _run(tmp_path / "b", {"sim": {"y": 0.4, "z": 0.5, "w": 0.6}}, texts={"z": "another text"})
    result = compare(a, b)
    assert result["items"] == {"common": 1, "only_a": ["x"], "only_b": ["w"], "different": ["z"]}
    assert result["metrics"]["sim"]["n"] == 1
    assert result["metrics"]["sim"]["difference"] == pytest.approx(0.2)
    text = compare_text(result)
    assert "only in A: x" in text and "other texts under the same id, left out: z" in text


def test_values_that_one_run_lacks_are_counted_with_the_reason(tmp_path):
    a = {"x": 0.1, "y": 0.2, "z": MetricResult.unavailable("no judge")}
    b = {"x": 0.3, "y": MetricResult.failed("unreadable", None), "z": 0.2}
    row = compare(_run(tmp_path / "a", {"sim": a}), _run(tmp_path / "b", {"sim": b}))["metrics"][
        "sim"
    ]
    assert row["n"] == 1
    assert row["excluded"] == {"B: unreadable": 1, "A: no judge": 1}


def test_a_failed_output_counts_with_its_worst_value(tmp_path):
    a = {f"i{k}": 100.0 for k in range(8)}
    b = dict(a) | {f"i{k}": MetricResult.failed("missing", 0.0) for k in range(7)}
    row = compare(_run(tmp_path / "a", {"acc": a}), _run(tmp_path / "b", {"acc": b}))["metrics"][
        "acc"
    ]
    assert row["n"] == 8 and row["better"] == "a"
    assert row["p_value"] == pytest.approx(2 / 2**7)


def test_holm_corrects_for_many_metrics(tmp_path):
    columns = {
        "acc": {f"i{k}": 0.0 for k in range(10)},
        "sim": {f"i{k}": k / 10 for k in range(10)},
    }
    other = {
        "acc": {f"i{k}": 100.0 if k < 6 else 0.0 for k in range(10)},
        "sim": {f"i{k}": k / 10 + (0.1 if k else -0.01) for k in range(10)},
    }
    rows = compare(_run(tmp_path / "a", columns), _run(tmp_path / "b", other))["metrics"]
    smaller, larger = sorted(rows.values(), key=lambda r: r["p_value"])
    assert smaller["p_holm"] == pytest.approx(min(1, 2 * smaller["p_value"]))
    assert larger["p_holm"] == pytest.approx(max(smaller["p_holm"], larger["p_value"]))


def test_differences_in_scoring_are_warned_about(tmp_path):
    a = _run(tmp_path / "a", {"sim": {"x": 0.1}})
    b = _run(tmp_path / "b", {"sim": {"x": 0.2}, "acc": {"x": 0}}, judges="paraformer")
    warnings = compare(a, b)["warnings"]
    assert any("judges differs" in text for text in warnings)
    assert any("only B has the metrics acc" in text for text in warnings)


def test_a_baseline_can_take_part(tmp_path):
    a = _run(tmp_path / "a", {"sim": {"x": 0.1, "y": 0.3}})
    b = _run(tmp_path / "b", {"sim": {"x": 0.4, "y": 0.6}}, system="source")
    result = compare(a, b, system_b="source")
    assert result["metrics"]["sim"]["difference"] == pytest.approx(0.3)
    with pytest.raises(UserError, match="holds no system 'oracle'; it has: source"):
        compare(a, b, system_b="oracle")


def test_what_cannot_be_compared_is_refused(tmp_path):
    a = _run(tmp_path / "a", {"sim": {"x": 0.1}})
    with pytest.raises(UserError, match="no id in common"):
        compare(a, _run(tmp_path / "b", {"sim": {"y": 0.1}}))
    with pytest.raises(UserError, match="same ids but other texts"):
        compare(a, _run(tmp_path / "c", {"sim": {"x": 0.1}}, texts={"x": "else"}))
    with pytest.raises(UserError, match="no such file or folder"):
        compare(a, tmp_path / "nowhere")
    (tmp_path / "d").mkdir()
    with pytest.raises(UserError, match=r"holds no results\.json"):
        compare(a, tmp_path / "d")
    (tmp_path / "d" / "results.json").write_text("[1]")
    with pytest.raises(UserError, match="is not a results file"):
        compare(a, tmp_path / "d")


def test_the_command(tmp_path):
    from audio_eval.report.cli import register

    app = make_app("audio-eval", "test", "audio-eval")
    register(app)
    a = _run(tmp_path / "a", {"sim": {"x": 0.1, "y": 0.5}, "duration": {"x": 1, "y": 2}})
    b = _run(tmp_path / "b", {"sim": {"x": 0.2, "y": 0.6}, "duration": {"x": 1, "y": 3}})
    args = ["compare", str(a), str(b / "results.json"), "--json", "--resamples", "200"]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    metrics = json.loads(done.stdout)["metrics"]
    assert metrics["sim"]["difference"] == pytest.approx(0.1)
    assert metrics["duration"]["better"] is None  # no side is the better one
    assert all(math.isfinite(row["p_value"]) for row in metrics.values())
    done = CliRunner().invoke(app, ["compare", str(a), str(b)])
    assert "no significant difference" in done.stdout
