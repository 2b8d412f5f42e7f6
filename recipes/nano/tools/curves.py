"""Draw a run's curves from its log, small enough to keep in the repository.

    python recipes/nano/tools/curves.py .runs/nano-acoustic -o recipes/nano/curves/nano-acoustic.png

The picture is what a finished run writes as `curves.png`, in ten colours: lines and letters need no
more, and it then takes a fraction of the bytes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from PIL import Image, ImageColor

from mingtok_audio.trainer.record import curves_png

LIMIT = 50_000
"""Bytes that a picture in the repository may take."""
_PALETTE = (
    "#ffffff", "#e3e3e3", "#aaaaaa", "#666666", "#000000",
    "#1f77b4", "#8fbbd9", "#c7dded", "#ff7f0e", "#ffc38a",
)  # fmt: skip
"""White to black, and the two line colours with the shades at their edges."""


def palette() -> Image.Image:
    """The colours as Pillow wants them: those of a picture."""
    picture = Image.new("P", (1, 1))
    picture.putpalette([part for colour in _PALETTE for part in ImageColor.getrgb(colour)])
    return picture


def draw(run: Path, output: Path) -> int:
    """Curves of the run's `log.jsonl` -> bytes of the PNG that was written."""
    log = run / "log.jsonl"
    if not log.is_file():
        raise SystemExit(f"{run} holds no log.jsonl: name the folder of a run")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "curves.png"
        if not curves_png(log, whole):
            raise SystemExit(f"{log} has no figures, or matplotlib is not installed")
        with Image.open(whole) as picture:
            # No dithering: it would make noise of flat colours, which compresses badly.
            small = picture.convert("RGB").quantize(palette=palette(), dither=Image.Dither.NONE)
        small.save(output, optimize=True)
    return output.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder, with its log.jsonl")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the PNG")
    options = parser.parse_args()
    size = draw(options.run, options.output)
    print(f"{options.output}: {size / 1000:.0f} kB")
    if size > LIMIT:
        raise SystemExit(f"more than {LIMIT / 1000:.0f} kB: too large to keep in the repository")


if __name__ == "__main__":
    main()
