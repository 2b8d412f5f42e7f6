"""Words to phonemes: the dictionary, what it lacks, Chinese, and the table that ships."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mingtok_audio.core.errors import FormatError, PluginError
from uniaudio_lm.conformance import check_phonemizer
from uniaudio_lm.parts.phonemizers.english import EnglishPhonemizer
from uniaudio_lm.parts.phonemizers.letters import PHONEMES
from uniaudio_lm.parts.phonemizers.table import (
    LETTERS_PATH,
    TABLE_PATH,
    load_table,
    pack_table,
    read_packed,
)
from uniaudio_lm.plugins import get_host
from uniaudio_lm.text.words import split_words

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "english_phonemizer"


def said(text: str) -> list[str]:
    return [" ".join(word) for word in EnglishPhonemizer().phonemize(text, "en")]


def test_the_table_is_whole_and_small() -> None:
    table = load_table()
    assert len(table) > 120_000
    assert table["hello"] == ["HH", "AH0", "L", "OW1"] and table["a"] == ["AH0"]
    assert {p for word in table.values() for p in word} == set(PHONEMES)
    assert TABLE_PATH.stat().st_size + LETTERS_PATH.stat().st_size < 1_000_000
    assert "Carnegie Mellon" in TABLE_PATH.with_name("LICENSE-cmudict.txt").read_text()


def test_tables_survive_packing(tmp_path: Path) -> None:
    words = {"a": ["AH0"], "a'": ["EY1"], "ab": ["AE1", "B"], "b" * 60: ["B"] * 70, "z": ["Z"]}
    path = tmp_path / "table.xz"
    path.write_bytes(pack_table(words))
    assert list(read_packed(path)) == sorted(words)
    path.write_bytes(path.read_bytes()[:40])
    read_packed.cache_clear()
    with pytest.raises(FormatError, match="cannot be read"):
        read_packed(path)


def test_words_are_read_as_people_say_them() -> None:
    assert said("Hello, WORLD!") == ["HH AH0 L OW1", "W ER1 L D"]
    assert said("don't well-known") == ["D OW1 N T", "W EH1 L N OW1 N"]
    assert said("’tis the cats'") == ["T IH1 Z", "DH AH0", "K AE1 T S"]
    # Not in the dictionary: inflected, accented, spelled.
    assert said("zoo's buzzes aardvark's") == ["Z UW1 Z", "B AH1 Z IH0 Z", "AA1 R D V AA2 R K S"]
    assert said("café") == said("cafe")
    assert said("XKCD") == ["EH1 K S K EY1 S IY1 D IY1"]
    assert said("4% &") == ["F AO1 R P ER0 S EH1 N T", "AH0 N D"]
    assert said("你好 привет") == ["", "", ""]
    assert said("") == []
    bare = EnglishPhonemizer(stress=False).phonemize("hello", "en")
    assert bare == [["HH", "AH", "L", "OW"]]


def test_unknown_words_are_guessed() -> None:
    assert "blorfing" not in load_table()
    assert said("blorfing")[0].split()[:2] == ["B", "L"]
    assert said("blorfing")[0].endswith("IH0 NG")
    long = EnglishPhonemizer().phonemize("pseudo" * 40, "en")
    assert len(long) == 1 and 100 < len(long[0]) < 500


def test_words_that_were_held_out_are_mostly_right() -> None:
    """The figure in docs/api.md comes from `build.py measure`; here a sample of its words."""
    sys.path.insert(0, str(EXAMPLE))
    try:
        from build import edit_distance, is_held_out
    finally:
        sys.path.remove(str(EXAMPLE))
    from uniaudio_lm.parts.phonemizers.table import load_letters

    table = load_table()
    words = [word for word in table if is_held_out(word)][::20]
    assert 250 < len(words) < 400
    wrong = count = 0
    for word, found in zip(words, load_letters().read(words), strict=True):
        bare = [[p.rstrip("012") for p in phonemes] for phonemes in (found, table[word])]
        wrong, count = wrong + edit_distance(*bare), count + len(table[word])
    assert wrong / count < 0.14


def test_what_is_a_word() -> None:
    text = "It's $5.20, ok?! well-known 50% AT&T's 3,000 — 你好，world hello,world 😀 1:30 naïve"
    assert split_words(text) == [
        "It's", "$5.20", "ok", "well-known", "50%", "AT&T's", "3,000", "你", "好", "world", "hello",
        "world", "1:30", "naïve",
    ]  # fmt: skip


class Joined(EnglishPhonemizer):
    """One list for the whole text."""

    def phonemize(self, text, language="en"):
        return [[p for word in super().phonemize(text, language) for p in word]]


def test_kit_finds_a_careless_phonemizer() -> None:
    failed = {r.check for r in check_phonemizer(Joined) if not r.ok}
    assert "a list a word" in failed and "known symbols" not in failed


def test_chinese_syllables_have_initials_finals_and_tones() -> None:
    pytest.importorskip("pypinyin")
    host = get_host()
    assert not [r for r in check_phonemizer(host.resolve("phonemizer", "mandarin")) if not r.ok]
    mandarin = host.create("phonemizer", "mandarin")
    assert mandarin.phonemize("你好，OK 银行", "zh") == [
        ["n", "i3"], ["h", "ao3"], [], ["in2"], ["h", "ang2"],
    ]  # fmt: skip
    assert host.create("phonemizer", "mandarin", tones=False).phonemize("绿", "zh") == [["l", "v"]]


def test_without_pypinyin_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypinyin", None)
    with pytest.raises(Exception, match=r"pip install pypinyin"):
        get_host().create("phonemizer", "mandarin")
    with pytest.raises(PluginError, match="no phonemizer 'englsh'"):
        get_host().create("phonemizer", "englsh")


def test_the_build_refuses_what_is_no_dictionary(tmp_path: Path) -> None:
    other = tmp_path / "words.dict"
    other.write_text("hello HH AX L OW1\n")
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "build.py"), "table", "--dictionary", str(other)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 1 and "unknown phonemes ['AX']" in done.stderr
