"""`uniaudio finetune`: from a folder of recordings with texts to a model that says them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from omni_random import write_omni
from safetensors.torch import load_file, save_file

from mingtok_audio.core.errors import ConfigError, UserError
from uniaudio_lm import UniAudio
from uniaudio_lm.tasks import tts
from uniaudio_lm.training.finetune import Finetuning, finetune_config, read_folder, write_manifest
from uniaudio_lm.training.lora import load_adapter, merge_lora
from uniaudio_lm.training.parts import latest_latents

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden"
RATE = 8000
TEXTS = ["one two", "a gentle rain", "good morning", "thunder", "seven"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Ming-omni-tts whose encoder is sure of its latents."""
    folder = write_omni(
        tmp_path_factory.mktemp("omni") / "model", 1, rate=RATE, hop=160, latent=6, patch=4,
        history=8, lm=(48, 1, 4, 2, 96), encoder=(32, 1, 4, 2, 48), decoder=(24, 1, 4, 2, 32),
        head=(48, 2, 4), aggregator=(32, 1, 4),
    )  # fmt: skip
    weights = load_file(folder / "model.safetensors")
    weights["audio.encoder.fc3.bias"][6:] = -6.0
    save_file(weights, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for i, text in enumerate(TEXTS):
        time = np.arange(int(RATE * (1.9 + 0.33 * i))) / RATE
        wave = 0.3 * np.sin(2 * np.pi * (200 + 300 * i) * time * (1 + 0.2 * np.sin(3 * time)))
        soundfile.write(folder / f"{i}.wav", wave, RATE)
        (folder / f"{i}.txt").write_text(f"{text}\n")
    return folder


@pytest.fixture
def fresh_accelerator():
    """Runs of other precisions in one process: accelerate keeps the first one's."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def losses(run: Path) -> list[float]:
    lines = (run / "log.jsonl").read_text().splitlines()
    return [row["flow"] for row in map(json.loads, lines) if "flow" in row]


# --- data and plan -------------------------------------------------------------------------------


def test_folders_of_recordings_with_texts(tmp_path: Path, clips: Path) -> None:
    rows, silent = read_folder(clips, "en")
    assert [row["text"] for row in rows] == TEXTS and not silent
    assert rows[0]["language"] == "en" and rows[0]["seconds"] == pytest.approx(1.9)
    other = tmp_path / "other"
    (other / "wavs").mkdir(parents=True)
    for name in ("a", "b"):
        soundfile.write(other / "wavs" / f"{name}.wav", np.zeros(RATE), RATE)
    (other / "wavs" / "c.wav").write_bytes(b"RIFF")
    (other / "metadata.csv").write_text('a|Raw "text|said text\nc|never read\n')
    rows, silent = read_folder(other)
    assert [(row["id"], row["text"]) for row in rows] == [("wavs/a.wav", "said text")]
    assert sorted(silent) == ["b.wav", "c.wav"] and rows[0]["speaker"] == "wavs"
    count, _ = write_manifest(other, tmp_path / "run")
    again, _ = write_manifest(tmp_path / "run" / "manifest.jsonl", tmp_path / "run2")
    assert count == again == 1


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"x\.txt beside each x\.wav"):
        read_folder(tmp_path)
    (tmp_path / "a.wav").write_bytes(b"")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="no UTF-8"):
        read_folder(tmp_path)
    for wrong, message in (
        ({"steps": 0}, "--steps"), ({"lr": -1.0}, "--lr"), ({"rank": 0}, "rank"),
        ({"continued": 2.0}, "share"), ({"max_tokens": 0}, "positive"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            finetune_config(Finetuning("m", **wrong), tmp_path, 5)


def test_one_recording_of_twenty_is_held_out(tmp_path: Path) -> None:
    for i in range(40):
        soundfile.write(tmp_path / f"{i:02d}.wav", np.zeros(RATE), RATE)
        (tmp_path / f"{i:02d}.txt").write_text("hello")
    count, _ = write_manifest(tmp_path, tmp_path / "run")
    rows = [json.loads(r) for r in (tmp_path / "run" / "manifest.jsonl").read_text().splitlines()]
    assert count == 40 and [row["split"] for row in rows].count("valid") == 2
    assert finetune_config(Finetuning("m"), tmp_path, 40).data.generation.valid
    assert not finetune_config(Finetuning("m"), tmp_path, 5).data.generation.valid


def test_history_of_every_patch() -> None:
    values = torch.arange(1.0, 13.0).view(1, 12, 1)
    found = latest_latents(values, 4, 6)[0, :, :, 0]
    assert found.tolist() == [
        [0, 0, 0, 0, 0, 0], [0, 0, 1, 2, 3, 4], [3, 4, 5, 6, 7, 8],
    ]  # fmt: skip
    assert latest_latents(values, 1, 1)[0, :, 0, 0].tolist() == [0, *range(1, 12)]


# --- runs ----------------------------------------------------------------------------------------


def test_adapters_learn_and_travel(uniaudio, model: Path, clips: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ("-m", model, "-o", run, "--rank", "4", "--lr", "0.005", "--max-tokens", "400")
    ran = uniaudio("finetune", clips, *options, "--steps", "8", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["recordings"], ran.json["steps"]) == (5, 8)
    flow = losses(run)
    assert min(flow[-3:]) < flow[0]
    tuned, base = UniAudio.from_pretrained(run / "model"), UniAudio.from_pretrained(model)
    ours, theirs = tuned.model.state_dict(), base.model.state_dict()
    changed = {n.partition(".")[0] for n, t in ours.items() if not torch.equal(t, theirs[n])}
    assert changed == {"backbone", "generation_head", "stop_detector"}
    # The adapter alone, on the model that it was trained on, gives the same model.
    load_adapter(base.model, run / "adapter")
    merge_lora(base.model)
    for name, tensor in base.model.state_dict().items():
        torch.testing.assert_close(tensor, ours[name], rtol=1e-4, atol=1e-5)
    spoken = uniaudio("tts", "one two", "-m", run / "model", "-o", tmp_path / "a.wav", "--json")
    assert spoken.code == 0 and spoken.json["stop_reason"]
    again = uniaudio("finetune", clips, *options, "--steps", "8")
    assert again.code == 2 and "--resume" in again.err
    longer = uniaudio("finetune", clips, *options, "--steps", "9", "--resume", "--json")
    assert longer.code == 0 and longer.json["steps"] == 9


@pytest.mark.usefixtures("fresh_accelerator")
def test_bfloat16_and_all_weights(uniaudio, model: Path, clips: Path, tmp_path: Path) -> None:
    ran = uniaudio(
        "finetune", clips, "-m", model, "-o", tmp_path / "a", "--method", "full", "--steps", "3",
        "--lr", "0.003", "--precision", "bf16", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    tuned = UniAudio.from_pretrained(tmp_path / "a" / "model", dtype=None)
    assert tuned.model.generation_head.get_submodule("x_embedder").weight.dtype == torch.float32
    ours = tuned.model.state_dict()
    base = UniAudio.from_pretrained(model).model.state_dict()
    for part in ("backbone", "compressor", "generation_head", "stop_detector"):
        assert any(not torch.equal(ours[n], base[n]) for n in ours if n.startswith(part))
    assert all(torch.equal(ours[n].float(), base[n]) for n in ours if n.startswith("tokenizer"))


@pytest.mark.parametrize("kind", ["unified", "omni_lm_p1"])
def test_ming_uniaudio_and_ming3(uniaudio, clips: Path, tmp_path: Path, kind: str) -> None:
    ran = uniaudio(
        "finetune", clips, "-m", GOLDEN / kind, "-o", tmp_path / "a", "--steps", "2", "--json"
    )
    assert ran.code == 0, ran.err
    assert UniAudio.from_pretrained(tmp_path / "a" / "model").config.prompt_format in (
        "uniaudio", "ming3",
    )  # fmt: skip


def test_a_dry_run_and_wrong_options(uniaudio, model: Path, clips: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ran = uniaudio("finetune", clips, "-m", model, "-o", run, "--dry-run")
    assert ran.code == 0 and "everything fits" in ran.out and not (run / "model").exists()
    for args, message in (
        (("--method", "some"), "lora or full"), (("--precision", "fp8"), "no or bf16"),
        (("--steps", "0"), "--steps"), (("--minutes", "0"), "--minutes"),
    ):  # fmt: skip
        ran = uniaudio("finetune", clips, "-m", model, "-o", tmp_path / "b", *args)
        assert ran.code == 2 and message in ran.err and not (tmp_path / "b").exists()


@pytest.mark.slow
def test_five_clips_are_learned_by_heart(
    uniaudio, model: Path, clips: Path, tmp_path: Path
) -> None:
    ran = uniaudio(
        "finetune", clips, "-m", model, "-o", tmp_path / "a", "--method", "full", "--steps", "500",
        "--lr", "0.003", "--max-tokens", "400", "--continued", "0",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    tuned = UniAudio.from_pretrained(tmp_path / "a" / "model")
    recorded = [
        tuned.tokenizer.encode(soundfile.read(clips / f"{i}.wav", dtype="float32")[0], RATE).values[
            0
        ]
        for i in range(5)
    ]
    for i, text in enumerate(TEXTS):
        job = tuned.job(text, seed=3)
        said: list[torch.Tensor] = []
        for _ in tts.run_jobs(tuned.model, [job], tuned.sampling()):
            said = list(job.latents) or said
        latents = torch.cat(said)
        size = min(len(latents), *map(len, recorded))
        far = [float((latents[:size] - r[:size]).square().mean().sqrt()) for r in recorded]
        assert min(range(5), key=far.__getitem__) == i
        assert far[i] < 0.8 * min(value for n, value in enumerate(far) if n != i)
