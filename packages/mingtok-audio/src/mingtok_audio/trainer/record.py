"""What a run leaves for its reader: log.jsonl, tensorboard, spectrograms, loss curves."""

from __future__ import annotations

import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text

logger = logging.getLogger(__name__)

# Sums over the steps since the last row, not means.
_COUNTS = {"skipped"}
_EVALUATED = "eval/"


class Record:
    """Means of the steps' figures as rows of `log.jsonl`; only the main process writes."""

    def __init__(self, folder: Path, tensorboard: bool, main: bool) -> None:
        self.path, self._main = folder / "log.jsonl", main
        self._figures: dict[str, list[float]] = {}
        self._writer: Any = None
        if tensorboard and main:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise UserError(
                    "trainer.tensorboard needs the package tensorboard: pip install tensorboard"
                ) from error
            self._writer = SummaryWriter(str(folder / "tensorboard"))

    def add(self, figures: dict[str, float]) -> None:
        """Remember one step's figures for the next row."""
        for name, value in figures.items():
            self._figures.setdefault(name, []).append(value)

    def flush(self, step: int, seconds: float) -> None:
        """Write the row of the steps since the last one, if there are any."""
        if not self._figures:
            return
        row = {k: sum(v) if k in _COUNTS else sum(v) / len(v) for k, v in self._figures.items()}
        self._figures = {}
        self.write(step, seconds, row)

    def write(self, step: int, seconds: float, figures: dict[str, float]) -> None:
        """Append one row."""
        if not self._main:
            return
        rounded = {k: float(f"{v:.5g}") for k, v in figures.items()}
        row = {"step": step, "seconds": round(seconds, 1), **rounded}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self._writer is not None:
            for name, value in figures.items():
                self._writer.add_scalar(name, value, step)
        text = " ".join(f"{k}={v:.4g}" for k, v in figures.items())
        logger.info("step %d (%.0f s) %s", step, seconds, text)

    def cut(self, step: int) -> None:
        """Drop rows beyond `step`: a killed run had logged them, its resumed self will again."""
        if self._main and self.path.is_file():
            rows = self.path.read_text(encoding="utf-8").splitlines()
            kept = [r for r in rows if r.strip() and json.loads(r)["step"] <= step]
            atomic_write_text(self.path, "".join(row + "\n" for row in kept))

    def samples(self, step: int, folder: Path) -> None:
        """Spectrogram PNGs of the wavs in `folder`, and their sound in tensorboard."""
        if not self._main or not folder.is_dir():
            return
        for path in sorted(folder.glob("*.wav")):
            wav, rate = load_audio(path)
            if self._writer is not None:
                self._writer.add_audio(path.stem, wav[None], step, sample_rate=rate)
            if has_matplotlib():
                spectrogram_png(wav, rate, path.with_suffix(".png"), f"{path.stem}, step {step}")

    def close(self) -> None:
        """Finish the files of this run."""
        if self._writer is not None:
            self._writer.close()


def has_matplotlib() -> bool:
    """Pictures are drawn only where matplotlib is installed (the extra "train")."""
    return importlib.util.find_spec("matplotlib") is not None


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def spectrogram_png(wav: Any, sample_rate: int, path: Path, title: str) -> None:
    """Log-magnitude spectrogram of wav (T,), 0 Hz to half the rate, -90 to 0 dB."""
    import numpy as np

    n_fft, hop = 1024, 256
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(wav, (0, n_fft)), n_fft)[::hop]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(n_fft))) / n_fft * 4
    figure = _figure(8, 3)
    axes = figure.subplots()
    axes.imshow(
        20 * np.log10(np.maximum(spectrum.T, 1e-5)),
        origin="lower",
        aspect="auto",
        extent=(0, len(wav) / sample_rate, 0, sample_rate / 2000),
        vmin=-90,
        vmax=0,
    )
    axes.set(xlabel="seconds", ylabel="kHz", title=title)
    figure.savefig(path, dpi=100)


def curves_png(log: Path, path: Path) -> bool:
    """Every figure of a `log.jsonl` over its steps, one panel each; False without anything.

    What an evaluation measured of the same name shares its panel, as dots.
    """
    series: dict[str, list[tuple[int, float]]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for name, value in row.items():
            if name not in ("step", "seconds"):
                series.setdefault(name, []).append((row["step"], value))
    if not series or not has_matplotlib():
        return False
    titles = sorted({name.removeprefix(_EVALUATED) for name in series})
    columns = min(3, len(titles))
    rows = -(-len(titles) // columns)
    figure = _figure(4 * columns, 2.6 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for title, axes in zip(titles, panels, strict=False):
        if title in series:
            axes.plot(*zip(*series[title], strict=True), linewidth=1)
        if _EVALUATED + title in series:
            points = zip(*series[_EVALUATED + title], strict=True)
            axes.plot(*points, "o--", color="tab:orange", markersize=4, linewidth=1, label="eval")
            axes.legend()
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.3)
    for axes in panels:  # those that were left over
        axes.set_axis_off()
    figure.savefig(path, dpi=90)
    return True
