"""The file `words.xz` of a model folder, which holds a `WordModel`.

LZMA of: a line of JSON, then words in order, front-coded, then bytes: what each word costs, what
backing off from it costs, and its known successors.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mingtok_audio.core.errors import FormatError
from mingtok_audio.core.files import atomic_write_bytes
from uniaudio_lm.recognition.word_model import END, START, WordModel
from uniaudio_lm.text.front_coding import front_coded, front_decoded

WORDS_NAME = "words.xz"
FORMAT = "uniaudio-words"
STEP = 0.125
"""Costs are bytes, in units of so many nats."""
MAX_BYTES = 64 << 20


def save_words(model: WordModel, path: Path, dictionary: Iterable[str] = ()) -> None:
    """Write the file; words of `dictionary` that cost the most are left out, and come from
    there when it is read."""
    most = float(model.costs.max(initial=0.0))
    given = set(dictionary)
    follows = {w for _, known in model.after.values() for w in known} | set(model.after)
    kept = [
        (w, float(c)) for w, c in zip(model.words, model.costs, strict=True)
        if w in follows or w not in given or c < most
    ]  # fmt: skip
    place = {w: i + 2 for i, (w, _) in enumerate(kept)} | {START: 0, END: 1}
    if len(place) > 65535:
        raise ValueError("a file holds at most 65,533 words")
    counts, backing, following, pair_costs = [], [], [], []
    for word in (START, END, *(w for w, _ in kept)):
        back, known = model.after.get(word, (0.0, {}))
        found = sorted((place[w], cost) for w, cost in known.items())
        counts.append(len(found))
        backing.append(back)
        following += np.diff([0, *(i for i, _ in found)]).tolist()
        pair_costs += [cost for _, cost in found]
    head = {
        "format": FORMAT, "format_version": 1, "words": len(kept), "pairs": len(following),
        "end": model.end, "unseen": most,
    }  # fmt: skip
    parts = [
        json.dumps(head).encode(),
        "\n".join(front_coded([w for w, _ in kept])).encode("ascii"),
        _bytes([c for _, c in kept]), _bytes(backing),
        *_planes(counts), *_planes(following), _bytes(pair_costs),
    ]  # fmt: skip
    data = parts[0] + b"\n" + parts[1] + b"\0" + b"".join(parts[2:])
    atomic_write_bytes(path, lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def load_words(path: Path, dictionary: Iterable[str] = ()) -> WordModel:
    """Read a file that was written with the same dictionary.

    Raises:
        FormatError: no such file, or a damaged one.
    """
    try:
        with lzma.open(path) as stream:
            data = stream.read(MAX_BYTES)
        first, _, rest = data.partition(b"\n")
        head = json.loads(first)
        if head.get("format") != FORMAT or head.get("format_version") != 1:
            raise FormatError(f"{path} is no file of words that this release reads")
        coded, _, numbers = rest.partition(b"\0")
        count, pairs = int(head["words"]), int(head["pairs"])
        sizes = [count, count + 2, 2 * (count + 2), 2 * pairs, pairs]
        if sum(sizes) != len(numbers):
            raise ValueError("its parts have other lengths")
        own, backing, counts, following, costs = np.split(
            np.frombuffer(numbers, dtype=np.uint8), np.cumsum(sizes)[:-1]
        )
        words = front_decoded(coded.decode("ascii").split("\n")) if coded else []
        if len(words) != count:
            raise ValueError("words are missing")
        names = [START, END, *words]
        after, at = {}, 0
        steps = _joined(following)
        for name, back, number in zip(names, backing, _joined(counts), strict=True):
            if number:
                chosen = np.cumsum(steps[at : at + number])
                found = STEP * costs[at : at + number].astype(float)
                known = {names[i]: float(c) for i, c in zip(chosen, found, strict=True)}
                after[name] = (STEP * float(back), known)
                at += int(number)
        of = dict.fromkeys(dictionary, float(head["unseen"]))
        of |= zip(words, (STEP * own.astype(float)).tolist(), strict=True)
        everything = sorted(of)
        return WordModel(everything, np.asarray([of[w] for w in everything]), after, head["end"])
    except (OSError, lzma.LZMAError, EOFError, ValueError, KeyError, IndexError) as error:
        raise FormatError(f"{path} cannot be read: {error}") from error


def find_words(folder: Path) -> WordModel | None:
    """The words of a model folder; None where it has none. Those of the pronunciation table that
    ships are known beside them."""
    path = folder / WORDS_NAME
    if not path.is_file():
        return None
    from uniaudio_lm.phonemizers.table import read_packed

    return load_words(path, read_packed())


def copy_words(source: Path | None, target: Path) -> None:
    """Take the words of a model folder along to another one."""
    path = None if source is None else source / WORDS_NAME
    if path is not None and path.is_file() and path.resolve() != (target / WORDS_NAME).resolve():
        atomic_write_bytes(target / WORDS_NAME, path.read_bytes())


def _bytes(costs: Sequence[float]) -> bytes:
    return np.clip(np.round(np.asarray(costs, dtype=float) / STEP), 0, 255).astype("u1").tobytes()


def _planes(numbers: Sequence[int]) -> tuple[bytes, bytes]:
    """Low bytes and high bytes apart: each compresses better alone."""
    found = np.asarray(numbers, dtype=np.uint16)
    return (found & 255).astype("u1").tobytes(), (found >> 8).astype("u1").tobytes()


def _joined(planes: np.ndarray) -> np.ndarray:
    low, high = np.split(planes.astype(np.int64), 2)
    return low + 256 * high
