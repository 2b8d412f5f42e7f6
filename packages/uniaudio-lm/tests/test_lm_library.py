"""The package as a library: threads, dtypes, other default dtypes, pickling, saving."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError
from uniaudio_lm import UniAudio, VoicePrompt

CLIP = Path(__file__).parents[3] / "examples" / "data" / "librivox_0880.wav"


@pytest.fixture(scope="module")
def nano() -> UniAudio:
    return UniAudio.from_pretrained("nano")


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    wav, rate = load_audio(CLIP, 16000)
    assert rate == 16000
    return np.asarray(wav, dtype=np.float32).reshape(-1)[: 16000 * 2]


def test_threads_share_a_model(nano: UniAudio, clip: np.ndarray) -> None:
    """Recognition (which watches attention heads) and speech, at the same time."""
    jobs = [("hear", clip), ("hear", clip[:20000]), ("say", "Good."), ("hear", clip[8000:])] * 2

    def work(job: tuple[str, Any]) -> Any:
        if job[0] == "say":
            return nano.synthesize(job[1], seed=3, num_steps=2).wav.numpy().tobytes()
        return nano.transcribe(job[1], 16000, beams=2).text

    wanted = [work(job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, jobs)) == wanted


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_default_dtype_of_a_program_changes_nothing(
    nano: UniAudio, clip: np.ndarray, dtype: torch.dtype
) -> None:
    def results() -> tuple[Any, ...]:
        model = UniAudio.from_pretrained("nano")
        said = model.synthesize("It is late.", VoicePrompt(clip, 16000, "He was not"), seed=1)
        return said.wav, model.transcribe(clip, 16000, beams=2), model.log_likelihood(
            clip, 16000, "he was"
        )  # fmt: skip

    wanted = results()
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        found = results()
    finally:
        torch.set_default_dtype(before)
    assert found[0].dtype == torch.float32 and torch.equal(found[0], wanted[0])
    assert found[1:] == wanted[1:]


def entries(model: UniAudio, wav: Any) -> dict[str, Any]:
    return {
        "transcribe": lambda: model.transcribe(wav, 16000, beams=1),
        "likelihood": lambda: model.log_likelihood(wav, 16000, "he was"),
        "voice": lambda: model.prepare_voice(VoicePrompt(wav, 16000, "He was")).latents,
        "edit": lambda: model.edit(wav, 16000, "x", seed=0, num_steps=1),
        "ask": lambda: model.ask(wav, 16000, "What?", max_tokens=2),
        "tokenizer": lambda: model.tokenizer.encode(wav, 16000).values,
    }


def test_every_entry_refuses_integers_alike(small: UniAudio, clip: np.ndarray) -> None:
    for kind, divisor in ((np.int16, "32768"), (np.int32, "2147483648"), (np.int8, "128")):
        wrong = (clip * 100).astype(kind)
        for given in (wrong, torch.from_numpy(wrong)):
            for name, call in entries(small, given).items():
                with pytest.raises(UserError, match=f"divide by {divisor}"):
                    call()
                    pytest.fail(name)
    loud = clip * 32768
    for name, call in entries(small, loud).items():
        if name != "tokenizer":
            with pytest.raises(UserError, match="divide by 32768"):
                call()
                pytest.fail(name)
    for given in (np.array([True] * 9000), np.array(["a"] * 9000), clip.astype(complex)):
        with pytest.raises(UserError, match="floating-point samples"):
            small.transcribe(given, 16000)


def test_every_precision_is_understood(small: UniAudio, clip: np.ndarray) -> None:
    wanted = small.transcribe(clip, 16000, beams=1)
    for given in (clip.astype(np.float64), torch.from_numpy(clip).double(), clip.tolist(),
                  np.asfortranarray(clip), torch.from_numpy(clip).requires_grad_()):  # fmt: skip
        assert small.transcribe(given, 16000, beams=1) == wanted
    for half in (torch.bfloat16, torch.float16):
        tensor = torch.from_numpy(clip).to(half)
        voice = small.prepare_voice(VoicePrompt(tensor, 16000, "He was"))
        assert voice.latents is not None
        assert small.transcribe(tensor, 16000, beams=1) == small.transcribe(
            tensor.float(), 16000, beams=1
        )


def test_a_model_pickles(nano: UniAudio, clip: np.ndarray) -> None:
    wanted = nano.transcribe(clip, 16000, beams=2)
    again = pickle.loads(pickle.dumps(nano))
    assert again.transcribe(clip, 16000, beams=2) == wanted
    said = [m.synthesize("Good.", seed=1, num_steps=1).wav for m in (nano, again)]
    assert torch.equal(*said)


def test_what_is_saved_comes_back_whole(nano: UniAudio, clip: np.ndarray, tmp_path: Path) -> None:
    folder = nano.save_pretrained(tmp_path / "copy")
    again = UniAudio.from_pretrained(folder)
    name = nano.speakers()[0].name
    assert again.speakers() == nano.speakers()
    said = [list(m.synthesize_stream("Good.", name, seed=1, num_steps=1)) for m in (nano, again)]
    assert torch.equal(*(torch.cat(parts) for parts in said))
    assert again.transcribe(clip, 16000) == nano.transcribe(clip, 16000)
    for slot, part in (("generation_head", "dit"), ("compressor", "pooling")):
        heads = [UniAudio.from_pretrained(m, **{slot: part}) for m in ("nano", folder)]
        said = [torch.cat(list(m.synthesize_stream("Good.", seed=1, num_steps=1))) for m in heads]
        assert torch.equal(*said), slot
    twice = again.save_pretrained(tmp_path / "again")
    assert UniAudio.from_pretrained(twice, generation_head="dit").speakers() == nano.speakers()


def test_languages_and_tasks_are_those_of_the_config(nano: UniAudio, clip: np.ndarray) -> None:
    wanted = nano.transcribe(clip, 16000, "en", beams=1)
    for given in ("English", "EN", "en-US", "en_GB", " english "):
        assert nano.transcribe(clip, 16000, given, beams=1) == wanted
    for given in ("klingon", "zh", "Chinese", "e", "english language"):
        with pytest.raises(UserError, match=r"does not know the language .* recognises en"):
            nano.transcribe(clip, 16000, given)
        with pytest.raises(UserError, match="recognises en"):
            nano.log_likelihood(clip, 16000, "he was", given)
    with pytest.raises(UserError, match="not trained to answer questions"):
        nano.ask(clip, 16000, "What is said?")
    with pytest.raises(UserError, match="not trained to carry out edits"):
        nano.edit(clip, 16000, "Delete the last word.")


def test_loading_and_speaking_imports_no_compiler() -> None:
    """torch imports its compiler (1.1 s of CPU) to draw random numbers on the meta device."""
    code = (
        "import sys; from uniaudio_lm import UniAudio; "
        "UniAudio.from_pretrained('nano').synthesize('Hi.', num_steps=1); "
        "print(sorted({'torch._dynamo', 'sympy', 'transformers', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
