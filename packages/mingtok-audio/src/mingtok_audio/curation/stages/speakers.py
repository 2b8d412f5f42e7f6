"""Who speaks when: voices of short windows, clustered.

`small` is the embedding of `curation.voice`, `plugin` the speaker encoder of an installed package,
`resemblyzer` the package of that name, `pyannote:MODEL` its whole pipeline. A speaker that the
input manifest names is taken as it is.

Axes: N windows, D numbers of an embedding.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from importlib import metadata, util
from typing import Any

import numpy as np

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.models.weights import sha256_of_file
from mingtok_audio.curation import voice
from mingtok_audio.curation.interfaces import FileStage
from mingtok_audio.curation.loaders import find_loader, load_from_plugin, loader_version
from mingtok_audio.curation.recording import FRAME, Recording, Turn

_WINDOW, _HOP = 3.0, 0.5  # seconds
_SEARCHED = 0.25  # seconds on either side of a change of speaker
_QUIET = 5  # frames of the quietest place
_AT_ONCE = 600  # windows that are clustered together
_SMALLEST_SHARE, _SMALLEST = 0.02, 4.0  # of the speech, and seconds: a speaker has either
THRESHOLDS = {"small": 0.37, "resemblyzer": 0.72, "plugin": 0.5}
"""Mean similarity from which two clusters are one speaker."""

Embed = Callable[[np.ndarray, int], np.ndarray]


class Speakers(FileStage):
    """Turns of the speakers of a recording.

    Args:
        encoder: "small", "plugin", "resemblyzer", "pyannote:MODEL", or "one": a recording has one
            speaker.
        threshold: mean similarity (cosine) from which two clusters are one; None: the encoder's.
        most: speakers of a recording.
    """

    columns = {"speakers": "int"}
    writes_core = ("speaker",)

    def __init__(
        self, encoder: str = "small", threshold: float | None = None, most: int = 20
    ) -> None:
        self.kind, _, self.source = encoder.partition(":")
        if self.kind not in (*THRESHOLDS, "pyannote", "one"):
            raise ValueError(
                f"encoder is small, plugin, resemblyzer, pyannote:MODEL or one, not {encoder!r}"
            )
        self.threshold = THRESHOLDS.get(self.kind, 0.5) if threshold is None else threshold
        self.most = most
        self._embed: Embed | None = None
        self._pipeline: Any = None

    def missing(self) -> str:
        """Whether the encoder's package is not installed."""
        module = {"resemblyzer": "resemblyzer", "pyannote": "pyannote.audio"}.get(self.kind)
        if module is not None and not _installed(module):
            return f"{module} is not installed: pip install {module}, or speakers.encoder=small"
        if self.kind == "plugin" and find_loader("speaker_encoder") is None:
            return (
                "no installed package offers a speaker_encoder; speakers.encoder=small needs none"
            )
        return ""

    def identity(self) -> Mapping[str, Any]:
        """The encoder and its version."""
        if self.kind == "small":
            return {"encoder": sha256_of_file(voice.weights_file())}
        if self.kind == "plugin":
            return {"encoder": loader_version("speaker_encoder")}
        package = {"resemblyzer": "Resemblyzer", "pyannote": "pyannote.audio"}.get(self.kind)
        return {"encoder": f"{package} {metadata.version(package)}"} if package else {}

    def load(self) -> None:
        """Read the encoder."""
        if self.kind == "pyannote" and self._pipeline is None:
            self._pipeline = _pyannote(self.source)
        elif self._embed is None:
            self._embed = self._encoder()

    def _encoder(self) -> Embed:
        if self.kind == "plugin":
            return load_from_plugin("speaker_encoder", self.source or None).embed
        if self.kind == "resemblyzer":
            with contextlib.redirect_stdout(sys.stderr):
                from resemblyzer import VoiceEncoder  # pyright: ignore[reportMissingImports]

                encoder = VoiceEncoder("cpu", verbose=False)
            return lambda wav, _: encoder.embed_utterance(wav)
        return voice.embed

    def run(self, recording: Recording) -> None:
        """Fill `turns`."""
        named = recording.source.fields.get("speaker")
        if named or self.kind == "one":
            recording.turns = [Turn(a, b, str(named or "0")) for a, b in recording.speech]
        elif self.kind == "pyannote":
            self.load()
            recording.turns = self._by_pyannote(recording)
        else:
            self.load()
            recording.turns = self._by_clusters(recording)
        recording.values["speakers"] = len({turn.speaker for turn in recording.turns})

    def _by_pyannote(self, recording: Recording) -> list[Turn]:
        import torch

        wav = torch.from_numpy(recording.read())[None]
        with contextlib.redirect_stdout(sys.stderr):
            found = self._pipeline({"waveform": wav, "sample_rate": recording.rate})
        found = getattr(found, "exclusive_speaker_diarization", found)
        turns = [Turn(s.start, s.end, str(who)) for s, _, who in found.itertracks(yield_label=True)]
        return _in_order(_without_overlap(turns))

    def _by_clusters(self, recording: Recording) -> list[Turn]:
        assert self._embed is not None
        windows: list[tuple[int, float, float]] = []
        for i, (start, end) in enumerate(recording.speech):
            count = max(1, int((end - start - _WINDOW) / _HOP) + 1)
            for k in range(count):
                at = start + k * _HOP
                stop = end if k == count - 1 else min(end, at + _WINDOW)
                windows.append((i, at, stop))
        if not windows:
            return []
        vectors = np.stack(
            [
                _unit(self._embed(recording.read(at, stop), recording.rate))
                for _, at, stop in windows
            ]
        )
        labels = cluster(vectors, self.threshold, self.most)
        shares = np.bincount([i for i, _, _ in windows], minlength=len(recording.speech))
        spans = np.array([end - start for start, end in recording.speech])
        lengths = np.array([spans[i] / shares[i] for i, _, _ in windows])
        labels = without_rare(vectors, labels, lengths)
        turns: list[Turn] = []
        for i, (start, end) in enumerate(recording.speech):
            mine = [j for j, window in enumerate(windows) if window[0] == i]
            turns += _turns(recording, (start, end), [windows[j] for j in mine], labels[mine])
        return _in_order(turns)


def _installed(module: str) -> bool:
    try:
        return util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _pyannote(source: str) -> Any:
    with contextlib.redirect_stdout(sys.stderr):
        from pyannote.audio import Pipeline  # pyright: ignore[reportMissingImports]

        try:
            pipeline = Pipeline.from_pretrained(source or "pyannote/speaker-diarization-3.1")
        except Exception as error:
            raise UserError(f"the pyannote pipeline cannot be loaded: {error}") from error
    if pipeline is None:
        raise UserError("the pyannote pipeline cannot be loaded: accept its terms and log in")
    return pipeline


def _unit(vector: Any) -> np.ndarray:
    found = np.asarray(vector, dtype=np.float64).reshape(-1)
    return found / max(float(np.linalg.norm(found)), 1e-9)


def cluster(vectors: np.ndarray, threshold: float, most: int) -> np.ndarray:
    """Labels (N,) of unit vectors (N, D): clusters are joined, the most similar first, until no
    two have a mean similarity of `threshold` and there are at most `most`.

    More windows than 600 are clustered in parts, whose clusters are then joined by their means.
    """
    labels = np.zeros(len(vectors), int)
    centres: list[np.ndarray] = []
    sizes: list[int] = []
    for first in range(0, len(vectors), _AT_ONCE):
        part = vectors[first : first + _AT_ONCE]
        found = _join(part, np.ones(len(part)), threshold, most)
        labels[first : first + len(part)] = found + len(centres)
        for label in range(found.max() + 1):
            centres.append(part[found == label].mean(axis=0))
            sizes.append(int((found == label).sum()))
    if len(vectors) > _AT_ONCE:
        labels = _join(np.stack(centres), np.array(sizes, float), threshold, most)[labels]
    order = {label: place for place, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([order[label] for label in labels.tolist()])


def _join(vectors: np.ndarray, sizes: np.ndarray, threshold: float, most: int) -> np.ndarray:
    """Average linkage: the mean similarity of two clusters is the product of their means."""
    count = len(vectors)
    centres, sizes = vectors.astype(np.float64).copy(), sizes.astype(np.float64).copy()
    parent = np.arange(count)
    similar = centres @ centres.T
    np.fill_diagonal(similar, -np.inf)
    alive = count
    while alive > 1:
        a, b = divmod(int(similar.argmax()), count)
        if similar[a, b] < threshold and alive <= most:
            break
        if similar[a, b] == -np.inf:
            break
        a, b = min(a, b), max(a, b)
        centres[a] = (centres[a] * sizes[a] + centres[b] * sizes[b]) / (sizes[a] + sizes[b])
        sizes[a] += sizes[b]
        parent[parent == b] = a
        row = centres @ centres[a]
        row[similar[a] == -np.inf] = -np.inf
        row[b] = row[a] = -np.inf
        similar[b], similar[:, b] = -np.inf, -np.inf
        similar[a], similar[:, a] = row, row
        alive -= 1
    return np.unique(parent, return_inverse=True)[1].reshape(-1)


def without_rare(vectors: np.ndarray, labels: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Labels in which clusters with next to no speech are given to the most similar other one."""
    names = range(labels.max() + 1)
    total = np.array([seconds[labels == n].sum() for n in names])
    least = min(_SMALLEST, max(1.5, _SMALLEST_SHARE * total.sum(), 0.1 * total.max()))
    large = [n for n in names if total[n] >= least] or [int(total.argmax())]
    centres = np.stack([vectors[labels == n].mean(axis=0) for n in large])
    out = labels.copy()
    for i, label in enumerate(labels):
        if label not in large:
            out[i] = large[int((centres @ vectors[i]).argmax())]
    return out


def _turns(
    recording: Recording,
    span: tuple[float, float],
    windows: list[tuple[int, float, float]],
    labels: np.ndarray,
) -> list[Turn]:
    """Turns that cover a span: the speaker changes at the quietest place between two windows'
    middles and `_SEARCHED` seconds around."""
    smooth = labels.copy()
    for k in range(1, len(labels) - 1):
        if labels[k - 1] == labels[k + 1]:
            smooth[k] = labels[k - 1]
    turns: list[Turn] = []
    at, end = span
    for k in range(len(smooth)):
        last = k == len(smooth) - 1
        if last or smooth[k] != smooth[k + 1]:
            stop = end
            if not last:
                before, after = (sum(windows[j][1:]) / 2 for j in (k, k + 1))
                low, high = max(at, before - _SEARCHED), min(end, after + _SEARCHED)
                level = recording.track("level", low, high)
                stop = (before + after) / 2
                if len(level) >= _QUIET:
                    smoothed = np.convolve(level, np.ones(_QUIET) / _QUIET, mode="valid")
                    stop = low + (int(smoothed.argmin()) + _QUIET / 2) * FRAME
            turns.append(Turn(at, max(at, min(stop, end)), str(smooth[k])))
            at = turns[-1].end
    return turns


def _without_overlap(turns: list[Turn]) -> list[Turn]:
    out: list[Turn] = []
    for turn in sorted(turns, key=lambda t: (t.start, t.end)):
        start = max(turn.start, out[-1].end if out else 0.0)
        if turn.end > start:
            out.append(Turn(start, turn.end, turn.speaker))
    return out


def _in_order(turns: list[Turn]) -> list[Turn]:
    """Speakers numbered in the order in which they first speak."""
    names = {name: str(i) for i, name in enumerate(dict.fromkeys(t.speaker for t in turns))}
    return [Turn(t.start, t.end, names[t.speaker]) for t in turns]
