"""Compare a manifest of `mingtok curate` with a corpus of known truth (`corpus.py`).

    python recipes/curation/evaluate.py DIR/truth.json OUT/manifest.parquet [--json FILE]

What is measured, and how:

- Speech: frames of 10 ms. What a row covers counts as found unless its reason is "no_speech" (or
  the whole file was dropped). Frames within 0.1 s of a border of the truth, and pauses of less than
  `--bridge` seconds inside one speaker's speech, which a segment may cover on purpose, are not
  scored.
- Speaker error: of the true speech that was found, the share whose label, by the best one-to-one
  assignment of labels to speakers in each file, is another speaker's.
- Borders: ends of segments that lie inside a word run (a span of voice, more than 0.1 s from its
  ends), and changes of speaker that have a border within 0.5 s.
- Language, given texts (`cross_wer` over `--cross-wer` counts as "wrong"), duplicates (pairs of
  files with rows of one `duplicate_group`), clipping and music: precision and recall.
- Quality order: of the pairs of one utterance at two levels of noise, the share in right order.
- Funnel: the reasons of the rows, by kind of file.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mingtok_audio.core.files import atomic_write_text
from mingtok_audio.curation.manifest import Manifest

STEP = 0.01
COLLAR = 0.1
NEAR = 0.5  # seconds from a change of speaker within which a border must lie
_NOT_SPEECH = ("no_speech", "silent")
Row = dict[str, Any]
File = Mapping[str, Any]


def frames(seconds: float) -> int:
    """Frames of a length."""
    return round(seconds / STEP)


def fill(track: np.ndarray, spans: Iterable[Sequence[float]], value: Any) -> None:
    """Set a track (F,) to a value in spans of seconds."""
    for start, end in spans:
        track[max(0, frames(start)) : max(0, frames(end))] = value


class TruthTracks:
    """The truth of a file, frame by frame.

    Attributes:
        speaker: index of the speaker, -1 where none speaks.
        scored: frames that count for speech activity.
    """

    def __init__(self, file: File, bridge: float) -> None:
        size = frames(file["seconds"])
        said = [event for event in file["events"] if event["what"] == "speech"]
        self.spans = [(a, b, event) for event in said for a, b in event["speech"]]
        self.names = sorted({event["speaker"] for event in said})
        self.speaker = np.full(size, -1)
        self.scored = np.ones(size, bool)
        for start, end, event in self.spans:
            fill(self.speaker, [(start, end)], self.names.index(event["speaker"]))
            for edge in (start, end):
                fill(self.scored, [(edge - COLLAR, edge + COLLAR)], False)
        for one, two in itertools.pairwise(self.spans):
            same = one[2]["speaker"] == two[2]["speaker"]
            if same and two[0] - one[1] < bridge:
                fill(self.scored, [(one[1], two[0])], False)


def share(part: float, whole: float) -> float | None:
    """A ratio; None of nothing."""
    return round(part / whole, 4) if whole else None


class Counts:
    """True and false positives and negatives."""

    def __init__(self) -> None:
        self.hit = self.false = self.missed = 0

    def add(self, found: Any, true: Any) -> None:
        """One decision."""
        self.hit += bool(found and true)
        self.false += bool(found and not true)
        self.missed += bool(true and not found)

    def to_dict(self) -> dict[str, Any]:
        """Precision, recall and what they are made of."""
        return {
            "precision": share(self.hit, self.hit + self.false),
            "recall": share(self.hit, self.hit + self.missed),
            "true": self.hit + self.missed,
            "found": self.hit + self.false,
        }


def speech_and_speakers(
    pairs: Sequence[tuple[File, Sequence[Row]]], bridge: float
) -> dict[str, Any]:
    """Frame by frame; see the module."""
    from scipy.optimize import linear_sum_assignment

    hit = found = true = wrong = labelled = 0
    right_count = dialogues = 0
    for file, rows in pairs:
        truth = TruthTracks(file, bridge)
        size = len(truth.speaker)
        active = np.zeros(size, bool)
        label = np.full(size, -1)
        names = sorted({row["speaker"] for row in rows if row["speaker"]})
        for row in rows:
            if row["reason"] not in _NOT_SPEECH:
                span = [(row["start"], row["end"])]
                fill(active, span, True)
                if row["speaker"]:
                    fill(label, span, names.index(row["speaker"]))
        speaks = truth.speaker >= 0
        hit += int((active & speaks & truth.scored).sum())
        found += int((active & truth.scored).sum())
        true += int((speaks & truth.scored).sum())
        both = speaks & (label >= 0)
        table = np.zeros((max(1, len(names)), max(1, len(truth.names))))
        np.add.at(table, (label[both], truth.speaker[both]), 1)
        best = table[linear_sum_assignment(-table)].sum()
        if len(truth.names) > 1:
            labelled += int(both.sum())
            wrong += int(both.sum() - best)
            dialogues += 1
            right_count += len(names) == len(truth.names)
    return {
        "speech": {"precision": share(hit, found), "recall": share(hit, true),
                   "seconds": round(true * STEP, 1)},
        "speakers": {"error": share(wrong, labelled), "seconds": round(labelled * STEP, 1),
                     "files": dialogues, "right_number": right_count},
    }  # fmt: skip


def borders(pairs: Sequence[tuple[File, Sequence[Row]]]) -> dict[str, Any]:
    """Where segments begin and end."""
    inside = ends = changes = near = pure = whole = 0
    for file, rows in pairs:
        truth = TruthTracks(file, 0.0)
        said = [row for row in rows if row["reason"] not in _NOT_SPEECH]
        for row in said:
            for edge in (row["start"], row["end"]):
                ends += 1
                inside += any(a + COLLAR < edge < b - COLLAR for a, b, _ in truth.spans)
            speakers = truth.speaker[frames(row["start"]) : frames(row["end"])]
            counts = np.bincount(speakers[speakers >= 0]) if (speakers >= 0).any() else np.zeros(0)
            if counts.sum():
                whole += 1
                pure += counts.max() >= 0.95 * counts.sum()
        for one, two in itertools.pairwise(truth.spans):
            if one[2]["speaker"] != two[2]["speaker"]:
                changes += 1
                edges = [e for row in said for e in (row["start"], row["end"])]
                near += any(one[1] - NEAR <= e <= two[0] + NEAR for e in edges)
    return {
        "borders": ends, "inside_words": share(inside, ends),
        "changes": changes, "changes_found": share(near, changes),
        "segments": whole, "of_one_speaker": share(pure, whole),
    }  # fmt: skip


def events_of(file: File, row: Row) -> dict[str, float]:
    """Seconds of true speech inside a row, by the value of `key` of its events."""
    found: dict[str, float] = defaultdict(float)
    for event in file["events"]:
        for start, end in event.get("speech", ()):
            found[json.dumps([event["language"], event["condition"]])] += max(
                0.0, min(end, row["end"]) - max(start, row["start"])
            )
    return found


def segments(pairs: Sequence[tuple[File, Sequence[Row]]]) -> dict[str, Any]:
    """Language, clipping and music of segments that hold one language and one condition."""
    right, languages, unknown = 0, 0, 0
    clipped, music = Counts(), Counts()
    confusions: Counter[str] = Counter()
    for file, rows in pairs:
        for row in rows:
            seconds = events_of(file, row)
            total = sum(seconds.values())
            if row["reason"] in _NOT_SPEECH or total < 1.0:
                continue
            main = max(seconds, key=lambda k: seconds[k])
            language, condition = json.loads(main)
            if seconds[main] < 0.9 * total:
                continue
            if row["language"] is None:
                unknown += 1
            else:
                languages += 1
                right += row["language"] == language
                if row["language"] != language:
                    confusions[f"{language} as {row['language']}"] += 1
            if row.get("clipping") is not None:
                clipped.add(row["clipping"] > 0.001, condition == "clipped")
            if row.get("music") is not None:
                music.add(row["music"] > 0.5, condition == "music")
    return {
        "language": {"right": share(right, languages), "segments": languages, "unknown": unknown,
                     "confusions": dict(confusions.most_common(8))},
        "clipping": clipped.to_dict(),
        "music": music.to_dict(),
    }  # fmt: skip


def given_texts(pairs: Sequence[tuple[File, Sequence[Row]]], limit: float) -> dict[str, Any]:
    """Whether wrong texts of the owner are found by `cross_wer`."""
    counts = Counts()
    unchecked = 0
    kinds: dict[str, list[bool]] = defaultdict(list)
    for file, rows in pairs:
        if "text_right" not in file:
            continue
        rates = [row["cross_wer"] for row in rows if row.get("cross_wer") is not None]
        if not rates:
            unchecked += 1
            continue
        flagged = max(rates) > limit
        counts.add(flagged, not file["text_right"])
        kinds[file.get("wrong") or "right"].append(flagged)
    flagged_shares = {k: share(sum(v), len(v)) for k, v in sorted(kinds.items())}
    return {**counts.to_dict(), "unchecked": unchecked, "flagged": flagged_shares}


def duplicates(pairs: Sequence[tuple[File, Sequence[Row]]]) -> dict[str, Any]:
    """Pairs of files that hold one sound, among the files of copies and ladders."""
    group_of: dict[str, set[str]] = {}
    true: dict[str, str] = {}
    for file, rows in pairs:
        if file["kind"] not in ("copy", "ladder", "text"):
            continue
        said = [event["recording"] for event in file["events"] if event["what"] == "speech"]
        true[file["name"]] = said[0]
        group_of[file["name"]] = {
            row["duplicate_group"] for row in rows if row.get("duplicate_group")
        }
    counts: dict[str, Counts] = {"copies": Counts(), "all": Counts()}
    for one, two in itertools.combinations(sorted(true), 2):
        found, same = group_of[one] & group_of[two], true[one] == true[two]
        counts["all"].add(found, same)
        if one.startswith("copy") and two.startswith("copy"):
            counts["copies"].add(found, same)
    return {name: c.to_dict() for name, c in counts.items()}


def quality(truth: Mapping[str, Any], rows: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """Whether measures put one utterance at several levels of noise into the right order."""
    found = {}
    for name in ("snr", "dnsmos", "dnsmos_bak"):
        right = pairs = 0
        for ladder in truth["ladders"]:
            values = [
                [row[name] for row in rows.get(step, ()) if row.get(name) is not None]
                for step in ladder
            ]
            means = [float(np.mean(v)) if v else None for v in values]
            for better, worse in itertools.combinations(means, 2):
                if better is not None and worse is not None:
                    pairs += 1
                    right += better > worse
        found[name] = {"right_order": share(right, pairs), "pairs": pairs}
    return found


def funnel(pairs: Sequence[tuple[File, Sequence[Row]]]) -> dict[str, Any]:
    """Seconds by kind of file and reason; kept ones are "kept"."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for file, rows in pairs:
        for row in rows:
            reason = "kept" if row["kept"] else row["reason"]
            table[file["kind"]][reason] += row["seconds"]
    return {
        kind: {r: round(s, 1) for r, s in sorted(c.items())} for kind, c in sorted(table.items())
    }


def evaluate(
    truth: Mapping[str, Any], rows: Iterable[Row], *, bridge: float = 1.5, cross_wer: float = 0.3
) -> dict[str, Any]:
    """All measures; see the module."""
    by_file: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_file[Path(row["source"]).stem].append(row)
    pairs = [(file, by_file[file["name"]]) for file in truth["files"]]
    missing = [file["name"] for file, found in pairs if not found]
    uncovered = [
        file["name"]
        for file, found in pairs
        if found and abs(sum(r["seconds"] for r in found) - file["seconds"]) > 0.05
    ]
    return {
        "files": len(pairs),
        "files_without_rows": missing,
        "files_whose_rows_do_not_add_up": uncovered,
        **speech_and_speakers(pairs, bridge),
        "borders": borders(pairs),
        **segments(pairs),
        "given_texts": given_texts(pairs, cross_wer),
        "duplicates": duplicates(pairs),
        "quality": quality(truth, by_file),
        "funnel": funnel(pairs),
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("truth", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--bridge", type=float, default=1.5)
    parser.add_argument("--cross-wer", type=float, default=0.3)
    options = parser.parse_args()
    truth = json.loads(options.truth.read_text("utf-8"))
    rows = Manifest(options.manifest).rows()
    found = evaluate(truth, rows, bridge=options.bridge, cross_wer=options.cross_wer)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    if options.json:
        atomic_write_text(options.json, text + "\n")
    for name, value in found.items():
        print(f"{name}: {json.dumps(value, ensure_ascii=False)}")


if __name__ == "__main__":
    main()
