"""Take the pictures of docs/page.md: python tests/browser/screenshots.py ADDRESS [FOLDER]

ADDRESS is that of a running `uniaudio serve`. The pictures have at most 160 colours.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "examples" / "data" / "librispeech_1089-134686-0000.flac"
LINE = "form input[placeholder='remove the second sentence']"


def shot(page: Any, folder: Path, name: str, *, full: bool = False) -> None:
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(700)
    picture = Image.open(io.BytesIO(page.screenshot(full_page=full))).convert("RGB")
    path = folder / f"page_{name}.png"
    # Median cut would lose the small red and green parts.
    picture.quantize(160, method=Image.Quantize.MAXCOVERAGE, kmeans=1).save(path, optimize=True)
    print(f"{path} {picture.size} {path.stat().st_size / 1000:.0f} kB")


def open_example(page: Any, address: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Try the example").click()
    page.locator(".piece").first.wait_for()


def main(address: str, folder: Path) -> None:
    path = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US"}
        page = browser.new_context(**options).new_page()
        page.set_default_timeout(120_000)
        page.goto(address)
        page.get_by_text("Model: nano").wait_for()
        shot(page, folder, "empty")
        open_example(page, address)
        page.locator(".piece .word").nth(9).click()
        page.locator(".piece .word").nth(10).click(modifiers=["Shift"])
        page.keyboard.type("beside")
        page.keyboard.press("Enter")
        page.locator("#apply").wait_for()
        shot(page, folder, "plan")
        page.locator("#apply").click()
        page.locator(".done").wait_for()
        page.get_by_role("button", name="Rain").click()
        page.locator("#apply").click()
        page.locator(".history li").nth(2).wait_for()
        page.locator(".history .step").nth(1).click()
        shot(page, folder, "done")
        page.get_by_role("button", name="Correct what was heard").click()
        shot(page, folder, "correct")

        dark = browser.new_context(**options, color_scheme="dark").new_page()
        dark.set_default_timeout(120_000)
        dark.goto(address)
        with dark.expect_file_chooser() as chooser:
            dark.get_by_role("button", name="Open a file").click()
        chooser.value.set_files(CLIP)
        dark.locator(".piece").first.wait_for()
        dark.get_by_role("button", name="Correct what was heard").click()
        text = CLIP.with_suffix(".txt").read_text(encoding="utf-8").strip()
        dark.get_by_label("What is said in the recording").fill(text)
        dark.get_by_role("button", name="This is what was said").click()
        dark.locator(".piece").first.wait_for()
        dark.locator(LINE).fill("delete 'and'")
        dark.keyboard.press("Enter")
        dark.locator(".choice").first.wait_for()
        shot(dark, folder, "choice_dark")
        dark.locator(LINE).fill("paint it blue")
        dark.keyboard.press("Enter")
        dark.get_by_role("alert").wait_for()
        shot(dark, folder, "refused_dark")
        dark.get_by_role("tab", name="Tokens").click()
        with dark.expect_file_chooser() as chooser:
            dark.get_by_role("button", name="Encode a recording").click()
        chooser.value.set_files(CLIP)
        dark.locator(".latents").wait_for()
        shot(dark, folder, "tokens_dark")

        phone = browser.new_context(
            viewport={"width": 390, "height": 844}, locale="en-US", device_scale_factor=1
        ).new_page()
        phone.set_default_timeout(120_000)
        open_example(phone, address)
        phone.locator(".piece .word").nth(1).click()
        phone.get_by_role("button", name="Delete", exact=True).click()
        phone.locator("#apply").wait_for()
        shot(phone, folder, "phone", full=True)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs" / "images")
