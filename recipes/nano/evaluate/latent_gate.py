"""The latent gate: which latents can a small flow head learn to say?

    out=.runs/latent-gate
    python recipes/nano/evaluate/latent_gate.py whole=nano described=nano:26 -o $out
    for kind in copied said; do for name in whole described; do
        audio-eval score tts --refs $out/tts.jsonl --hyps $out/$name/$kind \
            -o $out/$name/$kind-score --judges .judges --metrics wer --baselines none
    done; done
    python recipes/nano/evaluate/latent_gate.py --table -o $out

A candidate is NAME=TOKENIZER, or NAME=TOKENIZER:D for its first D latents with the others 0. Each
gets the same small model, trained alike: a causal transformer over patches of five frames, which is
told the phonemes of this patch and the next, and an MLP head that generates the patch by flow
matching. It then says held-out sentences of the bulk voice with the phonemes' true durations: what
is misunderstood is lost by the latents and the head, not by an alignment. `copied` holds the same
sentences decoded from the recordings' own latents, the best that a candidate can do.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from mingtok_audio import MingTok, save_audio
from mingtok_audio.core.runtime import set_threads
from mingtok_audio.trainer.optim import build_optimizers, schedule
from mingtok_audio.training.manifests import Source
from uniaudio_lm.parts.aligners.units import PHONES
from uniaudio_lm.parts.heads.mlp import MlpHead
from uniaudio_lm.training.times import phonemes_in_frames
from uniaudio_lm.training.utterances import Utterance, read_utterances

PATCH, WIDTH, LAYERS, SYMBOL = 5, 256, 4, 48
HISTORY_NOISE = 0.2


@dataclass(frozen=True)
class Sentence:
    """Latents (P, PATCH, D) and the phoneme at each of their frames (P, PATCH)."""

    id: str
    text: str
    latents: Tensor
    phonemes: Tensor


class Speaker(nn.Module):
    """Phonemes with their times and the patches so far to the next patch."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.symbols = nn.Embedding(len(PHONES) + 1, SYMBOL)
        self.said = nn.Linear(2 * PATCH * SYMBOL, WIDTH)
        self.heard = nn.Linear(PATCH * dims, WIDTH)
        self.past = nn.ModuleDict({"blocks": nn.ModuleList(self._block() for _ in range(LAYERS))})
        self.norm = nn.LayerNorm(WIDTH)
        self.places = nn.Embedding(256, WIDTH)
        self.head = MlpHead(WIDTH, dims, PATCH, width=512, depth=4)

    @staticmethod
    def _block() -> nn.Module:
        return nn.TransformerEncoderLayer(
            WIDTH, 4, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True
        )

    def forward(self, history: Tensor, phonemes: Tensor) -> Tensor:
        """Patches before (B, P, PATCH, D) and phonemes (B, P, PATCH) -> conditions (B, P, W)."""
        following = torch.cat((phonemes[:, 1:], torch.zeros_like(phonemes[:, :1])), dim=1)
        told = self.symbols(torch.cat((phonemes, following), dim=2)).flatten(2)
        count = phonemes.shape[1]
        x = self.said(told) + self.heard(history.flatten(2)) + self.places.weight[:count]
        mask = nn.Transformer.generate_square_subsequent_mask(count)
        for block in self.past["blocks"]:
            x = block(x, src_mask=mask, is_causal=True)
        return self.norm(x)

    def loss(self, batch: Sequence[Sentence], draws: int) -> Tensor:
        """Flow loss of some sentences, the patches before being a little wrong."""
        pad = nn.utils.rnn.pad_sequence
        latents = pad([s.latents for s in batch], batch_first=True)
        phonemes = pad([s.phonemes for s in batch], batch_first=True)
        real = pad([torch.ones(len(s.latents)) for s in batch], batch_first=True) > 0
        history = torch.cat((torch.zeros_like(latents[:, :1]), latents[:, :-1]), dim=1)
        level = HISTORY_NOISE * torch.rand(len(batch), 1, 1, 1)
        history = history + level * torch.randn_like(history)
        cond = self(history, phonemes)
        return self.head.loss(cond[real], latents[real], history[real], num_samples=draws)

    @torch.no_grad()
    def say(self, batch: Sequence[Sentence], seed: int) -> list[Tensor]:
        """Latents (P, PATCH, D) of each sentence, from its phonemes alone."""
        phonemes = nn.utils.rnn.pad_sequence([s.phonemes for s in batch], batch_first=True)
        dims = batch[0].latents.shape[-1]
        history = torch.zeros(len(batch), 1, PATCH, dims)
        generators = [torch.Generator().manual_seed(seed + i) for i in range(len(batch))]
        for i in range(phonemes.shape[1]):
            # The phonemes of the next patch are told too, so one more than the patches so far.
            beyond = torch.zeros(len(batch), 1, PATCH, dims)
            seen = torch.cat((history, beyond), dim=1)[:, : phonemes.shape[1]]
            cond = self(seen, phonemes[:, : seen.shape[1]])[:, i]
            patch = self.head.sample(cond, history[:, -1], cfg_scale=1.0, generators=generators)
            history = torch.cat((history, patch[:, None]), dim=1)
        return [history[i, 1 : len(s.latents) + 1] for i, s in enumerate(batch)]


def sentences(utterances: Sequence[Utterance], tokenizer: MingTok) -> list[Sentence]:
    """The utterances as a tokenizer's latents, in whole patches."""
    out = []
    for utterance in utterances:
        wav = torch.from_numpy(utterance.recording.load(tokenizer.config.sample_rate))
        values = tokenizer.encode(wav, tokenizer.config.sample_rate).values[0]
        values = values[: len(values) // PATCH * PATCH]
        heard = phonemes_in_frames(utterance, len(values), tokenizer.config.frame_rate)
        phonemes = torch.from_numpy(heard).clamp_min(0)
        out.append(Sentence(
            utterance.recording.id, utterance.text,
            values.unflatten(0, (-1, PATCH)), phonemes.unflatten(0, (-1, PATCH)),
        ))  # fmt: skip
    return out


def gate(name: str, tokenizer: MingTok, dims: int, said: tuple[list, list], o) -> dict:
    """Train a candidate's speaker, let it speak; returns what is known of it."""
    train, test = said
    stacked = torch.cat([s.latents.flatten(0, 1) for s in train])[:, :dims]
    mean, std = stacked.mean(0), stacked.std(0).clamp_min(1e-5)
    train, test = (
        [Sentence(s.id, s.text, (s.latents[..., :dims] - mean) / std, s.phonemes) for s in part]
        for part in (train, test)
    )
    torch.manual_seed(o.seed)
    order = random.Random(o.seed)
    speaker = Speaker(dims)
    optimizers = build_optimizers(speaker, lr=1e-3, muon_lr=1e-2, muon_block=64)
    losses, start = [], time.time()
    for step in range(o.steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=o.bf16):
            loss = speaker.loss(order.sample(train, o.batch), draws=2)
        loss.backward()
        nn.utils.clip_grad_norm_(speaker.parameters(), 1.0)
        factor = schedule("trapezoid", step, o.steps, 40, 0.6)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = factor * group["peak_lr"]
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        if step % 20 == 0:
            print(f"{name}: step {step}, flow loss {loss.item():.3f}", flush=True)
    seconds = time.time() - start
    speaker.eval()
    width = tokenizer.config.latent_dim
    for kind, patches in (
        ("copied", [s.latents for s in test]), ("said", speaker.say(test, o.seed)),
    ):  # fmt: skip
        (o.output / name / kind).mkdir(parents=True, exist_ok=True)
        for sentence, latents in zip(test, patches, strict=True):
            values = latents.flatten(0, 1) * std + mean
            values = nn.functional.pad(values, (0, width - dims))
            wav = tokenizer.decode(values[None])[0].numpy()
            path = o.output / name / kind / f"{sentence.id}.wav"
            save_audio(path, wav, tokenizer.config.sample_rate)
    return {
        "candidate": name, "dims": dims, "parameters": sum(p.numel() for p in speaker.parameters()),
        "flow_loss": sum(losses[-50:]) / len(losses[-50:]), "training_seconds": round(seconds),
    }  # fmt: skip


def table(output: Path) -> None:
    """What each candidate's trained head and its score say, as Markdown."""
    print("| candidate | dimensions | flow loss | WER of copies | WER of the flow head |")
    print("| --- | --- | --- | --- | --- |")
    for path in sorted(output.glob("*/gate.json")):
        known = json.loads(path.read_text(encoding="utf-8"))
        rates = []
        for kind in ("copied", "said"):
            found = json.loads((path.parent / f"{kind}-score" / "results.json").read_text("utf-8"))
            wer = found["metrics"]["wer"]
            low, high = wer["ci95"]
            rates.append(f"{wer['value']:.1f} % [{low:.1f}, {high:.1f}]")
        cells = (known["candidate"], known["dims"], f"{known['flow_loss']:.2f}", *rates)
        print("| " + " | ".join(map(str, cells)) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("candidates", nargs="*", metavar="NAME=TOKENIZER[:D]")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--manifest", type=Path, default=Path(".data/hibari/manifest.jsonl"))
    parser.add_argument("--hours", type=float, default=1.5)
    parser.add_argument("--test", type=int, default=30, help="held-out sentences")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bf16", action="store_true", help="bfloat16 autocast in training")
    parser.add_argument("--table", action="store_true", help="only print what was scored")
    options = parser.parse_args()
    if options.table:
        table(options.output)
        return
    set_threads(1)
    train = read_utterances([Source(str(options.manifest))], longest=12.0)[0]
    random.Random(0).shuffle(train)
    kept, seconds = [], 0.0
    for utterance in train:
        kept.append(utterance)
        seconds += utterance.recording.seconds
        if seconds >= 3600 * options.hours:
            break
    test = read_utterances([Source(str(options.manifest), split="test")], longest=12.0)[0]
    test = [test[i * len(test) // options.test] for i in range(options.test)]
    options.output.mkdir(parents=True, exist_ok=True)
    refs = [
        {"id": u.recording.id, "task": "tts", "language": "en", "text": u.text} for u in test
    ]  # fmt: skip
    (options.output / "tts.jsonl").write_text("".join(json.dumps(r) + "\n" for r in refs), "utf-8")
    encoded: dict[str, tuple[MingTok, tuple[list, list]]] = {}
    for candidate in options.candidates:
        name, _, source = candidate.partition("=")
        source, _, dims = source.partition(":")
        if source not in encoded:
            tokenizer = MingTok.from_pretrained(source)
            encoded[source] = tokenizer, (sentences(kept, tokenizer), sentences(test, tokenizer))
        tokenizer, said = encoded[source]
        known = gate(name, tokenizer, int(dims or tokenizer.config.latent_dim), said, options)
        (options.output / name / "gate.json").write_text(json.dumps(known, indent=1), "utf-8")
        print(json.dumps(known), flush=True)


if __name__ == "__main__":
    main()
