"""Sentences with a licence, split by document, that the synthesisers speak.

English: the usage examples of WordNet 3.0 (Debian `wordnet-base`, WordNet licence, permissive;
present-day English; a document is one of its lexicographer files) and five novels of Jane Austen
(Debian `r-cran-janeaustenr`, public domain). "Sense and Sensibility" is left out, because the
real LibriVox test recordings read it. Chinese: graded learners' sentences (PyPI
`hsk-sentences-audio`, CC BY-SA 4.0; a document is a topic).

Test sentences come from other documents than training ones, and a training sentence that shares
six words in a row with a test one is dropped.
"""

from __future__ import annotations

import gzip
import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from .common import assign_split, atomic_path, stable_fraction
from .packages import debian_package

NGRAM = 6
# A Chinese character, or a run of letters and digits with apostrophes inside.
WORD = re.compile(r"[\u4e00-\u9fff]|(?:(?![\u4e00-\u9fff])[^\W_])+(?:'[^\W\u4e00-\u9fff_]+)*")
SENTENCE_END = re.compile(
    r"(?:(?<=[.!?])|(?<=[.!?][\"\u201d]))(?<!\bMr\.)(?<!\bMrs\.)(?<!\bDr\.)\s+(?=[\"\u201cA-Z])"
)
MIN_WORDS, MAX_WORDS = 5, 24

TRAIN_NOVELS = ("emma", "mansfieldpark", "prideprejudice")
TEST_NOVELS = ("northangerabbey", "persuasion")
TEST_TOPICS = frozenset({"food", "transport", "weather_state"})
# WordNet's lexicographer files that are held out: nouns of feeling, of location and of time,
# verbs of perception, and the participial adjectives.
TEST_LEXICOGRAPHER_FILES = frozenset({12, 15, 28, 39, 44})


@dataclass(frozen=True)
class Sentence:
    """A sentence to speak; `document` decides the split."""

    id: str
    text: str
    document: str
    source: str
    licence: str
    split: str


def words(text: str) -> list[str]:
    """Lower-case words of `text` without punctuation; a Chinese character is a word."""
    return re.findall(WORD, text.lower().replace("\u2019", "'"))


def ngrams(text: str, n: int = NGRAM) -> set[tuple[str, ...]]:
    """The runs of `n` words in `text`; a shorter sentence is one run by itself."""
    tokens = words(text)
    if len(tokens) <= n:
        return {tuple(tokens)} if tokens else set()
    return {tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)}


def drop_overlaps(candidates: Iterable[Sentence], held_out: Iterable[Sentence]) -> list[Sentence]:
    """The candidates that share no six-word run with a held-out sentence, and no two alike."""
    forbidden: set[tuple[str, ...]] = set()
    for sentence in held_out:
        forbidden |= ngrams(sentence.text)
    kept = []
    seen: set[tuple[str, ...]] = set()
    for sentence in candidates:
        key = tuple(words(sentence.text))
        if key in seen or ngrams(sentence.text) & forbidden:
            continue
        seen.add(key)
        kept.append(sentence)
    return kept


def shared_ngrams(train: Iterable[str], test: Iterable[str]) -> set[tuple[str, ...]]:
    """The six-word runs that occur in texts of both sides; empty for a clean split."""
    left: set[tuple[str, ...]] = set()
    right: set[tuple[str, ...]] = set()
    for text in train:
        left |= ngrams(text)
    for text in test:
        right |= ngrams(text)
    return left & right


def speakable(text: str) -> bool:
    """True for plain sentences of 5 to 24 words: no digits, capitals-only words or symbols."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z ,.;:!?'\u2019-]*", text):
        return False
    if re.search(r"\b[A-Z]{2,}\b|\.\.|--|(?<!\bMr)(?<!\bMrs)(?<!\bDr)\. |\b(?:Mr|Mrs|Dr)\.$", text):
        return False
    return MIN_WORDS <= len(words(text)) <= MAX_WORDS


def tidy(text: str) -> str:
    """Capital first, single spaces, a full stop where no closing mark is."""
    text = " ".join(text.replace("\u2019", "'").split()).strip(" ,;:-")
    if not text:
        return ""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?" else text + "."


def wordnet_glosses(root: Path) -> Iterator[tuple[str, int, str]]:
    """(part of speech and offset, lexicographer file, gloss) of a WordNet database folder."""
    for part in ("noun", "verb", "adj", "adv"):
        with (root / f"data.{part}").open(encoding="latin-1") as lines:
            for line in lines:
                if not line.startswith(" "):
                    head, _, gloss = line.partition(" | ")
                    offset, lexicographer_file = head.split(" ", 2)[:2]
                    yield f"{part}-{offset}", int(lexicographer_file), gloss


def wordnet_examples(root: Path) -> Iterator[tuple[str, int, str]]:
    """(id, lexicographer file, example) of a WordNet database folder.

    Quoted examples that name an author after them are skipped: they are other people's words.
    """
    for place, number, gloss in wordnet_glosses(root):
        found = re.findall(r'"([^"]+)"(\s*-)?', gloss)
        for count, text in enumerate(text for text, author in found if not author):
            yield f"wn-{place}-{count}", number, text


def rdb_objects(folder: Path, stem: str = "Rdata") -> dict[str, list[str]]:
    """The character vectors of an R lazy-load database (`stem.rdx` index, `stem.rdb` data)."""
    index = gzip.decompress((folder / f"{stem}.rdx").read_bytes())
    data = (folder / f"{stem}.rdb").read_bytes()
    # An integer vector of length 2 (type 13) a variable: offset and length; names come after.
    spans = re.findall(rb"\x00\x00\x00\x0d\x00\x00\x00\x02(.{8})", index, re.DOTALL)
    _, _, tail = index.partition(b"names\x00\x00\x00\x10")
    names = read_strings(tail)
    objects = {}
    for name, span in zip(names, spans, strict=False):
        offset, length = struct.unpack(">ii", span)
        blob = zlib.decompress(data[offset + 4 : offset + length])
        start = blob.index(b"\x00\x00\x00\x10", 14)
        objects[name] = read_strings(blob[start + 4 :])
    return objects


def read_strings(blob: bytes) -> list[str]:
    """The strings of a serialised R character vector, `blob` starting at its length."""
    (count,) = struct.unpack_from(">i", blob)
    position = 4
    strings = []
    for _ in range(count):
        (size,) = struct.unpack_from(">i", blob, position + 4)  # after the flags of the element
        position += 8
        strings.append(blob[position : position + max(size, 0)].decode("utf-8", "replace"))
        position += max(size, 0)
    return strings


def novel_sentences(lines: list[str]) -> Iterator[str]:
    """Sentences of a novel given as text lines; dialogue loses its quotation marks."""
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        text = " ".join(paragraph.replace("_", "").split())
        pieces = SENTENCE_END.split(text)
        for piece in pieces:
            plain = piece.strip('"\u201c\u201d ')
            if plain[-1:] in (".", "!", "?") and plain[:1].isupper():
                yield plain


def collect(out: Path) -> list[Sentence]:
    """All usable sentences of both sources, splits assigned, overlaps not yet removed."""
    packages = out / "packages"
    wordnet = debian_package("wordnet-base", packages) / "usr/share/wordnet"
    novels = debian_package("r-cran-janeaustenr", packages)
    found = []
    for key, number, example in wordnet_examples(wordnet):
        held_out = number in TEST_LEXICOGRAPHER_FILES
        document = f"wordnet/{number:02d}"
        text = tidy(example)
        if speakable(text):
            split = assign_split(key, held_out=held_out, valid_fraction=0.02)
            found.append(
                Sentence(key, text, document, "WordNet 3.0 usage examples", "WordNet-3.0", split)
            )
    texts = rdb_objects(novels / "usr/lib/R/site-library/janeaustenr/data")
    for novel in (*TRAIN_NOVELS, *TEST_NOVELS):
        for number, sentence in enumerate(novel_sentences(texts[novel])):
            key = f"austen-{novel}-{number:05d}"
            text = tidy(sentence)
            if speakable(text):
                split = assign_split(key, held_out=novel in TEST_NOVELS, valid_fraction=0.02)
                source = f"Jane Austen, {novel} (Debian r-cran-janeaustenr)"
                found.append(Sentence(key, text, f"austen/{novel}", source, "public domain", split))
    return found


def build(found: list[Sentence]) -> list[Sentence]:
    """Removes overlaps and shuffles in a fixed order, so that any prefix is a fair sample."""
    found = sorted(found, key=lambda sentence: stable_fraction(sentence.id))
    test = drop_overlaps([s for s in found if s.split == "test"], [])
    valid = drop_overlaps([s for s in found if s.split == "valid"], test)
    train = drop_overlaps([s for s in found if s.split == "train"], [*test, *valid])
    return [*train, *valid, *test]


def collect_chinese() -> list[Sentence]:
    """The graded sentences of the package hsk-sentences-audio; a document is a topic."""
    from hsk_sentences_audio import load_sentences

    found = []
    for card in load_sentences():
        text = "".join(str(card["chinese"]).split())
        topic = str(card["topic"])
        if not re.fullmatch(r"[\u4e00-\u9fff\uff0c\u3002\uff01\uff1f\u3001]{5,40}", text):
            continue
        split = assign_split(str(card["id"]), held_out=topic in TEST_TOPICS, valid_fraction=0.02)
        source = "hsk-sentences-audio 1.0.0"
        found.append(Sentence(str(card["id"]), text, f"hsk/{topic}", source, "CC-BY-SA-4.0", split))
    return found


def load(out: Path, language: str = "en") -> list[Sentence]:
    """The sentences of `OUT/sentences-LANGUAGE.jsonl` (en, zh); built on the first call."""
    path = out / f"sentences-{language}.jsonl"
    if not path.exists():
        found = collect_chinese() if language == "zh" else collect(out)
        lines = [json.dumps(asdict(s), ensure_ascii=False) + "\n" for s in build(found)]
        with atomic_path(path) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")
    with path.open(encoding="utf-8") as lines:
        return [Sentence(**json.loads(line)) for line in lines]
