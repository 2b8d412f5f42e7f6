"""The page of `uniaudio serve`, used as a person would, in a real Chromium."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from browser_server import DATA, Server

pytestmark = pytest.mark.browser

CLIP = DATA / "librivox_0880.wav"
TEXT = CLIP.with_suffix(".txt").read_text().strip()
Visit = Callable[..., Any]


def choose(page: Any, button: Any, file: Path | dict) -> None:
    with page.expect_file_chooser() as chooser:
        button.click()
    chooser.value.set_files(file)


def open_clip(page: Any, file: Path | dict = CLIP, text: str | None = TEXT) -> None:
    """Open a recording and say what it says, as its words are not recognised well."""
    choose(page, page.get_by_role("button", name="Open a file"), file)
    page.locator(".piece").first.wait_for()
    if text is not None:
        page.get_by_role("button", name="Correct what was heard").click()
        page.get_by_label("What is said in the recording").fill(text)
        page.get_by_role("button", name="This is what was said").click()
        page.locator(".words-card:not(.correcting) .piece").first.wait_for()


def words(page: Any) -> str:
    return " ".join(page.locator(".piece .word").all_inner_texts())


def apply(page: Any) -> None:
    page.get_by_role("button", name="Apply").click()
    page.locator(".done").wait_for()


def downloaded(page: Any, kind: str = "The file itself") -> bytes:
    page.locator("summary", has_text="Download").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=kind, exact=True).click()
    return Path(download.value.path()).read_bytes()


def command_line(source: Path, instruction: str, text: str, output: Path) -> bytes:
    command = [sys.executable, "-c", "from uniaudio_lm.cli import main; main()", "edit"]
    subprocess.run(
        [*command, str(source), instruction, "--text", text, "-o", str(output)],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # as the server: sums of two differ in a bit
    )
    return output.read_bytes()


def test_two_words_go_one_is_retyped_rain_comes_and_all_is_undone(
    visit: Visit, tmp_path: Path
) -> None:
    page = visit()
    open_clip(page)
    spoken = TEXT.rstrip(".").split()
    made = []

    page.locator(".piece .word").nth(3).click()
    page.locator(".piece .word").nth(4).click(modifiers=["Shift"])
    page.keyboard.press("Delete")
    assert page.locator(".plan del").inner_text() == " ".join(spoken[3:5])
    assert page.locator(".history li").count() == 1  # a plan is not an edit
    apply(page)
    made.append((f"delete '{spoken[3]} {spoken[4]}'", downloaded(page), words(page)))

    page.locator(".piece .word").nth(1).click()
    page.keyboard.type("became")
    page.keyboard.press("Enter")
    assert page.locator(".plan ins").inner_text() == "became"
    assert "Synthetic" in page.locator(".plan").inner_text()
    apply(page)
    made.append((f"replace '{spoken[1]}' with 'became'", downloaded(page), words(page)))

    page.get_by_role("button", name="Rain").click()
    apply(page)
    assert "whole recording was changed" in page.locator(".done").inner_text()
    made.append(("add rain in the background", downloaded(page), words(page)))

    source, text = CLIP, TEXT
    for number, (instruction, data, after) in enumerate(made):
        output = tmp_path / f"{number}.wav"
        assert data == command_line(source, instruction, text, output), instruction
        source, text = output, after

    for _ in range(3):
        page.locator(".history").click(position={"x": 2, "y": 2})
        page.keyboard.press("Control+z")
    page.locator(".history [aria-current] .number", has_text="0").wait_for()
    assert words(page).split() == spoken
    assert downloaded(page) == CLIP.read_bytes()
    page.keyboard.press("Control+Shift+z")
    page.locator(".done").wait_for()
    assert downloaded(page) == made[0][1]


def test_an_edit_says_what_stayed_equal(visit: Visit) -> None:
    page = visit()
    open_clip(page)
    page.locator(".piece .word").nth(0).click()
    page.keyboard.press("Delete")
    apply(page)
    said = page.locator(".done .ok").inner_text()
    equal, _, compared = said.split("checked.")[1].split()[:3]
    assert equal == compared
    with soundfile.SoundFile(CLIP) as file:
        assert 0 < int(equal.replace(",", "")) < file.frames


def test_the_keyboard_does_everything(visit: Visit) -> None:
    page = visit()
    open_clip(page)
    before = words(page).split()
    page.locator(".words").focus()
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowRight", "Delete"):
        page.keyboard.press(key)
    page.locator("#apply").wait_for()
    page.keyboard.press("Escape")
    assert page.locator(".plan").count() == 0
    page.keyboard.press("Delete")
    page.locator("#apply:focus").wait_for()
    page.keyboard.press("Enter")
    page.locator(".done").wait_for()
    assert len(words(page).split()) == len(before) - 1
    assert page.get_by_role("button", name="After").get_attribute("aria-pressed") == "true"
    page.keyboard.press("b")
    page.locator(".words-card.is-before").wait_for()
    assert words(page).split() == before
    assert page.locator(".bar").count() == 0  # what was before cannot be edited by mistake
    page.keyboard.press("b")
    page.locator(".words-card:not(.is-before)").wait_for()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Pause", exact=True).wait_for()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Play").first.wait_for()
    # insert at a place: the caret goes left from the end
    page.locator(".words").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.type("very")
    page.keyboard.press("Enter")
    assert page.locator(".plan ins").inner_text() == "very"


def test_before_and_after_switch_at_the_same_place(visit: Visit) -> None:
    page = visit()
    open_clip(page)
    page.locator(".piece .word").nth(1).click()
    page.keyboard.press("Delete")
    apply(page)

    def time() -> float:
        return float(page.locator(".clock").inner_text().split(" / ")[0].split(":")[1])

    lengths = [float(t.split(":")[1]) for t in page.locator(".history .time").all_inner_texts()]
    page.locator(".wave").click(position={"x": 700, "y": 50})
    after = time()
    page.keyboard.press("b")
    page.wait_for_function("document.querySelector('.words-card').classList.contains('is-before')")
    page.wait_for_timeout(200)
    assert abs(time() - (after + lengths[0] - lengths[1])) < 0.12
    page.keyboard.press("b")
    page.wait_for_timeout(200)
    assert abs(time() - after) < 0.05


def test_the_two_modes_cannot_be_mixed_up(visit: Visit) -> None:
    page = visit()
    open_clip(page, text=None)
    page.get_by_role("button", name="Correct what was heard").click()
    assert "Only the text changes here" in page.locator(".mode-text").inner_text()
    assert page.locator(".piece").count() == 0
    assert page.locator("section[inert]").count() == 2  # nothing else can be begun meanwhile
    page.locator(".correcting .mode-text").click()
    page.keyboard.press("Control+z")
    assert page.locator(".correcting").count() == 1
    page.get_by_label("What is said in the recording").fill(TEXT)
    page.keyboard.press("Control+Enter")
    page.locator(".piece").first.wait_for()
    assert "Typing here changes the sound" in page.locator(".mode-text").inner_text()
    assert words(page).split() == TEXT.rstrip(".").split()
    assert page.locator(".history li").count() == 1  # the sound is what it was
    assert downloaded(page) == CLIP.read_bytes()


def test_a_sound_is_edited_while_the_words_are_looked_for(visit: Visit) -> None:
    page = visit()
    holding: list[Any] = []

    def hold(route: Any) -> None:  # as if recognition took long
        holding.append(route)

    page.route("**/words", hold)
    choose(page, page.get_by_role("button", name="Open a file"), CLIP)
    page.locator(".words-body .busy").wait_for()
    page.get_by_role("button", name="Louder").click()
    apply(page)
    assert page.locator(".history li").count() == 2
    page.get_by_role("button", name="Write them down").wait_for()
    for route in holding:
        route.continue_()
    page.get_by_role("button", name="Opened").click()
    page.locator(".piece").first.wait_for()


def test_an_ambiguous_instruction_becomes_a_choice(visit: Visit) -> None:
    page = visit()
    clip = DATA / "librispeech_1089-134686-0000.flac"
    open_clip(page, clip, clip.with_suffix(".txt").read_text().strip())
    page.get_by_label("Or say what to do").locator("visible=true").last.fill("delete 'and'")
    page.keyboard.press("Enter")
    choices = page.locator(".choice")
    choices.first.wait_for()
    assert choices.count() >= 2
    place = choices.nth(1).locator(".time").inner_text()
    choices.nth(1).click()
    page.locator("#apply").wait_for()
    assert place in page.locator(".plan").inner_text()


def test_what_is_wrong_is_said_where_it_happened_and_nothing_is_lost(visit: Visit) -> None:
    page = visit()
    bad = {"name": "broken.mp3", "mimeType": "audio/mpeg", "buffer": b"\0not sound" * 99}
    choose(page, page.get_by_role("button", name="Open a file"), bad)
    page.get_by_role("alert").wait_for()
    assert "broken.mp3" in page.get_by_role("alert").inner_text()
    open_clip(page)
    line = page.locator("form input[placeholder='remove the second sentence']")
    line.fill("paint it blue")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    example = page.locator(".side-now .chip").first
    assert "delete" in example.inner_text()
    example.click()
    page.keyboard.press("Enter")
    page.locator("#apply").wait_for()
    assert page.locator(".history li").count() == 1


def test_a_silent_second(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(16000), 16000)
    choose(page, page.get_by_role("button", name="Open a file"), path)
    page.locator(".words-body", has_text="No words were found").wait_for()
    page.get_by_role("button", name="Type what is said").wait_for()


def test_the_example_and_coming_back(visit: Visit, server: Server) -> None:
    page = visit()
    page.get_by_role("button", name="Try the example").click()
    page.locator(".piece").first.wait_for()
    page.locator(".piece .word").nth(0).click()
    page.keyboard.press("Delete")
    apply(page)
    said = words(page)
    page.reload()
    page.locator(".piece").first.wait_for()
    assert words(page) == said
    assert page.locator(".history li").count() == 2
    other = page.context.new_page()  # another tab of the same browser begins empty
    other.goto(server.address)
    other.get_by_role("button", name="Continue with example.wav").click()
    other.locator(".piece").first.wait_for()
    stranger = visit()
    stranger.goto(page.url)
    stranger.get_by_role("alert").wait_for()
    assert stranger.locator(".piece").count() == 0
    assert stranger.get_by_role("button", name="Continue with").count() == 0
    page.get_by_role("button", name="Remove from the server").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_text("Edit speech like text").wait_for()
    assert page.get_by_role("button", name="Continue with").count() == 0


def test_the_other_tabs(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    page.get_by_role("tab", name="Say").click()
    page.get_by_label("Text", exact=True).fill("Good morning.")
    page.get_by_role("button", name="Say it").click()
    page.get_by_text("First sound after").wait_for()
    page.get_by_role("tab", name="Write down").click()
    choose(page, page.locator("#panel-write").get_by_role("button", name="Open a file"), CLIP)
    page.locator(".word-button").first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="srt").click()
    assert "-->" in Path(download.value.path()).read_text()
    page.get_by_role("tab", name="Voices").click()
    panel = page.locator("#panel-voices")
    panel.get_by_role("button", name="Add", exact=True).click()
    assert "Choose a recording" in panel.get_by_role("alert").inner_text()
    choose(page, panel.get_by_role("button", name="Open a file"), CLIP)
    panel.get_by_label("Name").fill("reader")
    panel.get_by_role("button", name="Add", exact=True).click()
    assert "consent" in panel.get_by_role("alert").inner_text()
    panel.get_by_label("I may use this voice").check()
    panel.get_by_role("button", name="Add", exact=True).click()
    panel.get_by_role("button", name="Remove reader").click()
    panel.get_by_role("button", name="Remove reader").wait_for(state="detached")
    page.get_by_role("tab", name="Tokens").click()
    choose(page, page.get_by_role("button", name="Encode a recording"), CLIP)
    page.locator(".latents").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download .mtok").click()
    from mingtok_audio import Latents

    path = tmp_path / "x.mtok"
    path.write_bytes(Path(download.value.path()).read_bytes())
    frames = int(Latents.load(path).lengths[0])
    assert f"{frames} (" in page.locator(".facts-list").inner_text()


def test_what_is_said_is_written_while_it_is_said(visit: Visit) -> None:
    page = visit(permissions=["microphone"])
    page.get_by_role("tab", name="Write down").click()
    sockets, received = list[str](), list[str]()

    def note(frame: str) -> None:
        received.append(frame)

    def opened(socket: Any) -> None:
        sockets.append(socket.url)
        socket.on("framereceived", note)

    page.on("websocket", opened)
    page.get_by_role("button", name="Speak, and read along").click()
    said = page.locator("#panel-write .words.faint")
    said.filter(has_text=re.compile(r"\w+ \w+ \w+")).wait_for()
    assert [url.rpartition("/v1/")[2] for url in sockets] == ["audio/transcriptions/live"]
    assert json.loads(received[0])["type"] == "partial"
    page.get_by_role("button", name="Finish").click()
    page.locator(".word-button").first.wait_for()


def test_the_microphone(visit: Visit) -> None:
    page = visit(permissions=["microphone"])
    page.get_by_role("button", name="Record").click()
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Use this recording").click()
    page.locator(".desk .name", has_text="recording.wav").wait_for()


def test_a_server_that_dies_in_the_middle_loses_nothing(visit: Visit) -> None:
    server = Server()
    page = visit(server.address)
    try:
        open_clip(page)
        page.locator(".piece .word").nth(0).click()
        server.kill()
        page.keyboard.press("Delete")
        page.get_by_role("alert").wait_for()
        assert "does not answer" in page.get_by_role("alert").inner_text()
        server.start()
        page.get_by_role("button", name="Try again").click()
        page.get_by_role("button", name="Open the sound again").click()
        page.locator(".piece").first.wait_for(timeout=120_000)
        assert words(page).split() == TEXT.rstrip(".").split()
    finally:
        page.complaints[:] = [c for c in page.complaints if "ERR_CONNECTION" not in c]
        server.stop()


def test_keys_are_asked_for(visit: Visit) -> None:
    server = Server(keys="open-sesame")
    try:
        page = visit(server.address)
        field = page.locator("dialog input").first
        field.fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_text("does not know this key").first.wait_for()
        assert page.locator("dialog[open]").count() == 1
        page.locator("dialog[open] input").fill("open-sesame")
        page.keyboard.press("Enter")
        page.get_by_text("Model: nano").wait_for()
        open_clip(page)
        page.keyboard.press("Space")
        assert downloaded(page) == CLIP.read_bytes()
    finally:
        server.stop()


def test_nothing_comes_from_elsewhere_and_no_inline_script_runs(visit: Visit) -> None:
    page = visit()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.get_by_text("Model: nano").wait_for()
    origin = page.evaluate("location.origin")
    assert asked
    assert all(url.startswith((origin, "blob:", "data:")) for url in asked)
    policy = page.request.get(page.url).headers["content-security-policy"]
    assert "unsafe" not in policy
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        " document.body.append(s); }"
    )
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in c for c in page.complaints)
    page.complaints.clear()


def serious(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    page.complaints.clear()  # axe puts in styles of its own, which the policy refuses
    return [
        f"{v['id']}: {v['help']}: {[n['html'][:120] for n in v['nodes']][:3]}"
        for v in found
        if v["impact"] in ("serious", "critical", "moderate")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_is_accessible(visit: Visit, scheme: str) -> None:
    page = visit(color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    page.get_by_text("Model: nano").wait_for()
    page.get_by_role("heading", level=1).first.wait_for()
    found = {"empty": serious(page)}
    open_clip(page, text=None)
    found["opened"] = serious(page)
    page.get_by_role("button", name="Correct what was heard").click()
    found["correct"] = serious(page)
    page.get_by_label("What is said in the recording").fill(TEXT)
    page.get_by_role("button", name="This is what was said").click()
    page.locator(".piece .word").nth(2).click()
    found["selected"] = serious(page)
    page.keyboard.type("became")
    page.keyboard.press("Enter")
    page.locator("#apply").wait_for()
    found["plan"] = serious(page)
    apply(page)
    found["done"] = serious(page)
    page.locator("summary", has_text="Download").click()
    found["download"] = serious(page)
    page.keyboard.press("Escape")
    page.locator("form input[placeholder='remove the second sentence']").fill("paint it blue")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    found["refused"] = serious(page)
    for tab in ("Say", "Write down", "Voices", "Tokens"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(200)
        found[tab] = serious(page)
    assert {state: rules for state, rules in found.items() if rules} == {}


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_a_phone_needs_no_sideways_scrolling(visit: Visit, language: str) -> None:
    page = visit(viewport={"width": 360, "height": 740}, locale=language)
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(wide)
    chinese = language == "zh-CN"
    page.get_by_role("button", name="试用示例" if chinese else "Try the example").click()
    page.locator(".piece").first.wait_for()
    page.locator(".piece .word").nth(1).click()
    page.get_by_role("button", name="删除" if chinese else "Delete", exact=True).click()
    page.locator("#apply").wait_for()
    assert not page.evaluate(wide)
    for tab in ("say", "write", "voices", "tokens"):
        page.locator(f"#tab-{tab}").click()
        page.wait_for_timeout(100)
        assert not page.evaluate(wide), tab


def test_ten_minutes_open_quickly(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    rate = 44100
    noise = np.random.default_rng(0).standard_normal((rate, 2)) * 0.05
    path = tmp_path / "long.wav"
    soundfile.write(path, np.tile(noise, (600, 1)), rate, subtype="PCM_16")
    choose(page, page.get_by_role("button", name="Open a file"), path)
    page.locator(".overview").wait_for()
    page.get_by_role("button", name="Stop").click()  # the words are not needed to edit the sound
    page.get_by_role("button", name="Write them down").wait_for()
    page.locator(".wave").hover()
    page.mouse.wheel(0, -600)
    page.get_by_role("button", name="Play").first.click()
    page.get_by_role("button", name="Pause", exact=True).wait_for()
