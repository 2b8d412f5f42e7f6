"""Names of files: linked folders, links to nothing, accents in two spellings."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingtok_audio.core.audio import find_audio_files
from mingtok_audio.core.cli.inputs import collect_inputs
from mingtok_audio.core.config.files import parse_yaml
from mingtok_audio.core.errors import ConfigError
from mingtok_audio.core.names import as_stored, same_name


def test_linked_folders_are_followed_once_and_dead_links_are_named(tmp_path: Path) -> None:
    real, given_ = tmp_path / "real", tmp_path / "in"
    for folder in (real / "deep", given_ / ".hidden"):
        folder.mkdir(parents=True)
        (folder / "a.wav").touch()
    (given_ / "linked").symlink_to(real)
    (given_ / "again").symlink_to(real)
    (real / "loop").symlink_to(given_)
    (given_ / "gone.wav").symlink_to(tmp_path / "nothing.wav")
    (given_ / "gone.txt").symlink_to(tmp_path / "nothing.txt")
    found = [path.relative_to(given_).as_posix() for path in find_audio_files(given_)]
    assert found in (["again/deep/a.wav", "gone.wav"], ["gone.wav", "linked/deep/a.wav"])
    assert [item.path for item in collect_inputs([given_], [".wav"])] == find_audio_files(given_)


@given(st.text(st.characters(categories=["L", "M", "N"]), min_size=1, max_size=20))
def test_a_name_is_the_same_in_both_spellings(text: str) -> None:
    forms = {same_name(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert forms == {same_name(text)}


def test_a_file_is_found_in_the_other_spelling(tmp_path: Path) -> None:
    apart, together = (unicodedata.normalize(f, "café.wav") for f in ("NFD", "NFC"))
    (tmp_path / apart).touch()
    assert as_stored(tmp_path / together).exists()
    assert as_stored(tmp_path / apart).name == apart
    assert as_stored(tmp_path / "other.wav") == tmp_path / "other.wav"


TAGS = ["bool", "int", "float", "timestamp", "binary", "null", "set", "omap", "pairs", "seq", "map"]


@given(st.sampled_from(TAGS), st.text(st.characters(categories=["L", "N"]), max_size=8))
def test_a_tag_that_does_not_fit_is_one_line(tag: str, value: str) -> None:
    try:
        parse_yaml(f"x: !!{tag} {value}\n", "c.yaml")
    except ConfigError as error:
        assert "\n" not in str(error) and str(error).startswith("c.yaml")


@pytest.mark.parametrize("value", ["!!bool maybe", "!!timestamp soon", "!!binary xx"])
def test_some_tags_that_do_not_fit(value: str) -> None:
    with pytest.raises(ConfigError, match=r"c\.yaml is not valid YAML"):
        parse_yaml(f"x: {value}\n", "c.yaml")
