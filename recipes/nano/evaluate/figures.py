"""The model card's table from a scored held-out set: means by language and source.

    python recipes/nano/evaluate/figures.py out/heldout-score

The second row leaves out recordings on which the recogniser repeats itself to the end of its
window (more than ten errors for each word of the text): few of them outweigh all others. The third
and fourth tell sentences from the short phrases of `stamps`; the last line says by how many points
the copies of the sentences have more word errors, with its 95 % interval (bootstrap over clips).
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

_LOOP_PERCENT = 1000.0
_DRAWS = 2000


def mean(rows: list[dict[str, Any]], metric: str, digits: int) -> str:
    """Mean of a metric over the rows that have it."""
    values = [row["metrics"][metric]["value"] for row in rows if value_of(row, metric) is not None]
    return f"{sum(values) / len(values):.{digits}f}" if values else "not judged"


def error_rate(rows: list[dict[str, Any]], metric: str) -> str:
    """Errors over words of all rows (micro average)."""
    counts = [
        row["metrics"][metric]["details"] for row in rows if value_of(row, metric) is not None
    ]
    errors = sum(c["S"] + c["D"] + c["I"] for c in counts)
    words = sum(c["N"] for c in counts)
    return f"{100 * errors / words:.1f} %" if words else "not judged"


def value_of(row: dict[str, Any], metric: str) -> float | None:
    """A metric of one recording; None where it could not be had."""
    return row["metrics"].get(metric, {}).get("value")


def added_errors(rows: list[dict[str, Any]]) -> tuple[float, float, float]:
    """Points of word error rate that the copies add: the figure, and its interval."""
    counts = []
    for row in rows:
        if value_of(row, "wer") is not None and value_of(row, "ref_wer") is not None:
            ours, theirs = (row["metrics"][name]["details"] for name in ("wer", "ref_wer"))
            counts.append((sum(ours[k] - theirs[k] for k in "SDI"), ours["N"]))

    def points(drawn: list[tuple[int, int]]) -> float:
        return 100 * sum(errors for errors, _ in drawn) / max(1, sum(words for _, words in drawn))

    order = random.Random(0)
    found = sorted(points(order.choices(counts, k=len(counts))) for _ in range(_DRAWS))
    return points(counts), found[_DRAWS // 40], found[-_DRAWS // 40]


def line(title: str, rows: list[dict[str, Any]]) -> str:
    """One row of the table."""
    cells = [title, str(len(rows)), mean(rows, "pesq", 2), mean(rows, "stoi", 3)]
    cells += [mean(rows, "sim", 2), error_rate(rows, "wer"), error_rate(rows, "ref_wer")]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="what audio-eval score wrote")
    folder = parser.parse_args().results
    text = (folder / "per_item.jsonl").read_text(encoding="utf-8")
    rows = [row for row in map(json.loads, text.splitlines()) if row["system"] == "system"]
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[f"{row['item']['language']}, {row['item']['mode']}"].append(row)
    calm = [row for row in rows if (value_of(row, "wer") or 0.0) <= _LOOP_PERCENT]
    print("| recordings | clips | PESQ | STOI | SIM | WER of the copy | WER of the recording |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print(line("all", rows))
    print(line(f"all but {len(rows) - len(calm)} that Whisper loops on", calm))
    sentences = [row for row in rows if row["item"]["mode"] != "stamps"]
    print(line("sentences", sentences))
    print(line("short phrases", [row for row in rows if row["item"]["mode"] == "stamps"]))
    for name in sorted(groups):
        print(line(name, groups[name]))
    print("sentences: {:+.1f} points [{:.1f}, {:.1f}]".format(*added_errors(sentences)))


if __name__ == "__main__":
    main()
