"""The paper's way: the published edit runs through the editor, the model's answers, its prompts."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mingtok_audio.core.errors import AudioError, UserError
from mingtok_audio.parity import differences as parity_differences
from uniaudio_edit import parity
from uniaudio_edit.backends.lm import passes, wording
from uniaudio_edit.data.cot import published_prompt
from uniaudio_edit.editor import Editor
from uniaudio_edit.errors import AmbiguousInstructionError, InstructionError, MissingPartError
from uniaudio_edit.grammar.engine import GrammarParser
from uniaudio_edit.interfaces import EditRequest, Word
from uniaudio_edit.lm_parser import differences, read_answer
from uniaudio_edit.parts import Parts
from uniaudio_edit.text import Text
from uniaudio_lm import UniAudio

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden" / "unified"
SHELL = "Please recognize the language of this speech and transcribe it. And {}."
COMPARED = {"input_ids", "llm_prompt_embeds", "z_diff", "stop_logits", "latents", "wave"}


@pytest.fixture(scope="module")
def model() -> UniAudio:
    return UniAudio.from_pretrained(GOLDEN)


@pytest.fixture
def speaking(model: UniAudio, monkeypatch: pytest.MonkeyPatch) -> UniAudio:
    """The model, made to speak at once: random weights may write for long."""
    speak = model.model.text_tokenizer.special("<gen_audio>")
    plain = model.model.backbone.logits

    def eager(hidden: torch.Tensor) -> torch.Tensor:
        scores = plain(hidden)
        scores[..., speak] += 1e4
        return scores

    monkeypatch.setattr(model.model.backbone, "logits", eager)
    return model


def noise(seconds: float = 1.0, rate: int = 16000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (0.1 * rng.standard_normal(round(seconds * rate))).astype(np.float32)


def test_published_edits_through_the_editor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts, ids, `<gen_audio>`, latents and waveform of every recorded edit."""
    seen: list[tuple[bool, str, int]] = []
    plain = parity.edit_case

    def watched(model: Any, case: Any) -> Any:
        made = plain(model, case)
        text = model.text_tokenizer.decode(made.run.tokens, specials=True)
        seen.append((case.use_cot, text, len(made.run.steps)))
        return made

    monkeypatch.setattr(parity, "edit_case", watched)
    recorded = load_file(GOLDEN / "io.safetensors")
    computed = parity.edit_outputs(GOLDEN, recorded, argparse.Namespace())
    rows = parity_differences(computed, recorded)
    assert [row for row in rows if row[1] > row[2]] == []
    runs = json.loads((GOLDEN / "layout.json").read_text(encoding="utf-8"))["runs"]
    edits = [(name, run) for name, run in runs.items() if "use_cot" in run]
    assert len(edits) == 2
    for name, _ in edits:
        assert {f"{name}.{key}" for key in COMPARED} <= computed.keys()
    assert [(cot, text) for cot, text, _ in seen] == [
        (run["use_cot"], run["edited_text"]) for _, run in edits
    ]
    assert [calls for *_, calls in seen] == [run["llm_calls"] for _, run in edits]


def test_wrong_numbers_do_not_pass(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json", "layout.json"):
        (tmp_path / name).write_bytes((GOLDEN / name).read_bytes())
    recorded = load_file(GOLDEN / "io.safetensors")
    recorded["edit_ins_cot.init_noise_bct"] += 1e-2
    kept = {k: v for k, v in recorded.items() if k.startswith(("edit_ins_cot.", "prompt_wav"))}
    from safetensors.torch import save_file

    save_file(kept, tmp_path / "io.safetensors")
    assert parity.main([str(tmp_path), "--check"]) == 1
    assert parity.main([str(GOLDEN.parent / "head"), "--check"]) == 2


@pytest.mark.parametrize(
    ("wording", "use_cot"),
    [
        ("denoise the audio", False),
        ("adjusts the speed to 0.7", False),
        ("shifts the pitch by 3 steps", False),
        ("shifts the pitch by -4 steps", False),
        ("adjusts the volume to 0.6", False),
        ("add rain to audio", False),
        ("change the emotion to happy mood", False),
        ("change the accent of the speech to Chengdu", False),
        ("insert '实现' before the character or word at index 3", True),
        ("delete the characters or words from index 2 to index 3", True),
        ("substitute '盘活' with '创造'", True),
    ],
)
def test_published_instructions_reach_the_model_as_published(wording: str, use_cot: bool) -> None:
    text = "我们盘活我们资产"
    plan = GrammarParser().parse(SHELL.format(wording), text)
    request = EditRequest(np.zeros((1, 1), np.float32), 16000, plan.operations, plan)
    (made,) = passes(request)
    if "index 2" in wording:
        wording = "delete '们盘'"  # there once: named
    assert (published_prompt(made[0]), made[1]) == (SHELL.format(wording), use_cot)


def test_several_edits_are_passes_from_the_last_to_the_first() -> None:
    text = "one two one four"
    plan = GrammarParser().parse("delete the first word, insert 'five' at the end, go faster", text)
    request = EditRequest(np.zeros((1, 1), np.float32), 16000, plan.operations, plan)
    assert passes(request) == [
        ("insert 'five' at the end", True, "one two one four five"),
        ("delete the characters or words from index 1 to index 1", True, "two one four five"),
        ("adjusts the speed to 1.2", False, ""),
    ]
    assert wording(plan.operations[1], Text(text)) == "insert 'five' at the end"
    quiet = GrammarParser().parse("turn it down by 6 dB", text).operations[0]
    assert wording(quiet, Text(text)) == "adjusts the volume to 0.5"


def test_the_lm_backend_makes_the_whole_recording_anew(speaking: UniAudio) -> None:
    stereo = np.stack([noise(), 0.5 * noise()])
    editor = Editor(model=speaking, backend="lm")
    edited = editor.apply(stereo, 24000, editor.plan(stereo, 24000, "denoise the audio"))
    assert edited.wav.shape[0] == 2 and edited.wav.dtype == np.float32
    assert np.isfinite(edited.wav).all() and np.abs(edited.wav).max() > 0
    assert edited.receipt.changed[0]["source"] == [0, stereo.shape[1]]
    assert edited.receipt.changed[0]["output"] == [0, edited.wav.shape[1]]
    assert edited.receipt.models == {"lm": speaking.model_id}
    assert any("one channel" in note for note in edited.receipt.warnings)
    assert any("16000 Hz" in note for note in edited.receipt.warnings)
    again = Editor(model=speaking, backend="lm")
    same = again.apply(stereo, 24000, again.plan(stereo, 24000, "denoise the audio"))
    assert np.array_equal(edited.wav, same.wav)
    with pytest.raises(MissingPartError, match=r"edit model.*was not trained on edits"):
        bare = Editor(backend="lm")
        bare.apply(stereo, 24000, bare.plan(stereo, 24000, "denoise the audio"))


@pytest.mark.parametrize(
    ("written", "text", "regions"),
    [
        ("English\tI am [MASK]sad[MASK] now<gen_audio>", "I am sad now", [(2, 3)]),
        ("I am [MASK][MASK] now", "I am now", [(2, 2)]),
        ("我[MASK]很[MASK]开心", "我很开心", [(1, 2)]),
        ("I am [MASK] now", "I am now", [(2, 2)]),
        ("<answer>plain<|endoftext|>", "plain", []),
        ("", "", []),
    ],
)
def test_answers_are_taken_apart(written: str, text: str, regions: list) -> None:
    answer = read_answer(written)
    assert (answer.text, answer.regions) == (text, regions)


def test_the_marked_region_decides_between_equal_readings() -> None:
    before, after = Text("go on and on and rest"), Text("go on and rest")
    (first,) = differences(before, after, [(1, 1)])
    assert (first.type, first.text_span) == ("deletion", (1, 3))
    (other,) = differences(before, after, [(3, 3)])
    assert other.text_span == (3, 5)
    changes = differences(Text("a b c d"), Text("a x c d e"), [])
    assert [(op.type, op.old, op.new, op.text_span) for op in changes] == [
        ("substitution", "b", "x", (1, 2)),
        ("insertion", "", "e", (4, 4)),
    ]
    assert differences(Text("A, b"), Text("a b"), []) == []


class _Answers:
    """Stands where a trained model would: the answers it would write."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, written: str, ended: bool = True) -> None:
        self.asked: list[str] = []

        def answer(model: Any, wav: Any, rate: int, instruction: str) -> tuple[str, bool]:
            self.asked.append(instruction)
            return written, ended

        monkeypatch.setattr("uniaudio_lm.tasks.edit.edit_answer", answer)


def editor_that_hears(text: str) -> Editor:
    parts = Parts(SimpleNamespace(model_id="stub", model=None), transcriber=lambda wav, rate: text)  # type: ignore[arg-type]
    return Editor(parser="lm", parts=parts)


def test_the_lm_parser_plans_what_the_model_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    told = _Answers(monkeypatch, "English\tI feel [MASK]so sad[MASK] today<gen_audio>")
    editor = editor_that_hears("I feel happy today")
    plan = editor.plan(noise(), 16000, "Make the mood of the third word a gloomy one with a 'so'")
    assert told.asked == [
        "Please recognize the language of this speech and transcribe it. And make the mood of the "
        "third word a gloomy one with a 'so'."
    ]
    assert plan.edited_text == "I feel so sad today"
    (op,) = plan.operations
    assert (op.type, op.old, op.new, op.text_span) == ("substitution", "happy", "so sad", (2, 3))
    assert plan.confidence == 0.75 and plan.original_text == "I feel happy today"
    assert any("I feel happy today" in note for note in plan.assumptions)
    request = EditRequest(np.zeros((1, 1), np.float32), 16000, plan.operations, plan)
    assert passes(request) == [
        ("Make the mood of the third word a gloomy one with a 'so'", True, plan.edited_text)
    ]


def test_the_lm_parser_leaves_sounds_and_refusals_to_the_rules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = _Answers(monkeypatch, "never asked")
    editor = editor_that_hears("a b a")
    assert editor.plan(noise(), 16000, "denoise it").operations[0].type == "denoise"
    with pytest.raises(AmbiguousInstructionError):
        editor.plan(noise(), 16000, "delete 'a'")
    for bad, words in (
        ("", "empty"),
        ("delete 'x'", "not in the text"),
        ("delete '<audio>' please", "special token"),
        ("delete everything", "delete everything"),
        ("delete 'b' and replace 'b' with 'c'", "contradicts"),
    ):
        with pytest.raises(InstructionError, match=words):
            editor.plan(noise(), 16000, bad)
    assert told.asked == []


@pytest.mark.parametrize(
    ("written", "ended", "words"),
    [
        ("a b a", True, "leaves the text"),
        ("a b", False, "did not finish"),
        ("[MASK]", True, "empty"),
    ],
)
def test_answers_that_are_no_plan(
    monkeypatch: pytest.MonkeyPatch, written: str, ended: bool, words: str
) -> None:
    _Answers(monkeypatch, written, ended)
    with pytest.raises(InstructionError, match=words):
        editor_that_hears("a b a").plan(noise(), 16000, "frobnicate the middle bit")


def test_a_real_model_answers(model: UniAudio) -> None:
    """Random weights write something; the parser must end in words or in a plan."""
    editor = Editor(parser="lm", model=model)
    try:
        plan = editor.plan(noise(), 16000, "frobnicate the middle bit", text="one two three")
    except InstructionError as error:
        assert "\n" not in str(error)
    else:
        assert plan.operations and plan.confidence < 1


def test_edit_is_the_same_for_a_seed(speaking: UniAudio, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [
        speaking.edit(noise(0.93), 16000, "x", use_cot=cot, seed=seed, num_steps=1, cfg_scale=0.0)
        for cot, seed in ((False, 1), (False, 1), (False, 2), (True, 1))
    ]
    assert torch.equal(made[0].wav, made[1].wav)
    assert not torch.equal(made[0].wav, made[2].wav) and not torch.equal(made[0].wav, made[3].wav)
    for one in made:
        assert len(one.wav) == one.patches * 1600 and one.answer == ""
        assert one.patches >= 17  # the published minimum
    for bad in (noise(0.05), np.full(16000, np.nan, np.float32), noise().reshape(2, -1)):
        with pytest.raises(AudioError):
            speaking.edit(bad, 16000, "x")
    too_long = dataclasses.replace(speaking.tokenizer.config, max_frames=52)
    monkeypatch.setattr(speaking.tokenizer, "config", too_long)
    with pytest.raises(UserError, match="too long for this model"):
        speaking.edit(noise(1.0), 16000, "x")
    with pytest.raises(UserError, match="instruction is empty"):
        speaking.edit(noise(), 16000, " ")


def test_a_model_that_does_not_speak_is_said(
    model: UniAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, speak = model.model.backbone.logits, model.model.text_tokenizer.special("<gen_audio>")

    def mute(hidden: torch.Tensor) -> torch.Tensor:
        scores = plain(hidden)
        scores[..., speak] = -1e4
        return scores

    monkeypatch.setattr(model.model.backbone, "logits", mute)
    with pytest.raises(UserError, match="did not come to speak"):
        model.edit(noise(0.2), 16000, "x")


def test_an_editor_loads_its_model_when_it_is_needed() -> None:
    editor = Editor.from_pretrained("nano")
    words = [Word("one", 0.1, 0.4), Word("two", 0.5, 0.9)]
    plan = editor.plan(noise(), 16000, "delete 'one'", words=words)
    assert len(editor.apply(noise(), 16000, plan, words=words).wav) < 16000
    missing = Editor(parts=Parts("nano-v0"))
    for bare, instruction, needs in (
        (missing, "replace 'one' with 'ten'", "voice for 'ten'"),
        (editor, "change the emotion to sad", "edit model"),
    ):
        plan = bare.plan(noise(), 16000, instruction, words=words)
        with pytest.raises(MissingPartError, match=needs) as caught:
            bare.apply(noise(), 16000, plan, words=words)
        assert "--model" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(MissingPartError, match="no-such-folder"):
        Editor.from_pretrained("./no-such-folder")
    given = Editor.from_pretrained(GOLDEN, transcriber=lambda wav, rate: "one two", seed=3)
    assert given.seed == 3
    assert given.plan(noise(), 16000, "delete 'one'").original_text == "one two"
