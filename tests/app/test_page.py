"""The whole way through the page in a browser: a clip, its motion, a video of it, and what is kept."""

import base64
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from motionlift.app.history import History, State
from motionlift.video.clip import Clip
from motionlift.world.named import sample_named
from motionlift.world.scenes import render, sample
from tests.app.conftest import UNNAMED, free_port
from tests.app.test_hostile import recorded

ROOT = Path(__file__).parents[2]
WAIT = 120_000
"""Milliseconds that a slow machine may take for a step."""
OPENED_AGAIN = 20
"""How often a list is opened that closes again."""


RECORDER = """content => { window.MediaRecorder = class {
  static isTypeSupported = type => type === 'video/webm'
  addEventListener(_, told) { this.told = told }
  start() { this.told({data: new Blob([Uint8Array.from(atob(content), each => each.charCodeAt(0))])}) }
  stop() {}
} }"""
"""A stand-in for the browser's encoder."""


class Served:
    """A page in a process of its own."""

    def __init__(self, data: Path, port: int):
        self.data, self.url, self.seen = data, f"http://127.0.0.1:{port}", 0
        # Gradio serves what lies below the folder in which it runs, and below that of temporary files: the data lie in neither.
        elsewhere, temporary = data.parent / "elsewhere", data.parent / "temporary"
        for folder in (elsewhere, temporary):
            folder.mkdir(exist_ok=True)
        words = [sys.executable, "-m", "motionlift", "app", "--port", str(port), "--data", str(data), "--device", "cpu"]
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        own = {"MOTIONLIFT_CACHE": str(data / "cache"), "TMPDIR": str(temporary), "PYTHONPATH": path}
        self.process = subprocess.Popen(words, cwd=elsewhere, env={**os.environ, **own})
        end = time.monotonic() + WAIT / 1000
        while True:
            try:
                urllib.request.urlopen(self.url, timeout=1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end
                time.sleep(0.2)

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait(60)

    @property
    def states(self) -> list[State]:
        """Of the tasks since it was begun, or since they were last forgotten here."""
        visitors = self.data / "visitors"
        owners = [place.name for place in visitors.iterdir()] if visitors.is_dir() else []
        history = History(self.data / "history.sqlite")
        items = [item for owner in owners for item in history.items(owner) if item.number > self.seen]
        return [item.state for item in sorted(items, key=lambda item: item.number)]

    def forget(self) -> None:
        """Count from here on."""
        self.seen += len(self.states)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One page for all visitors that do it no harm."""
    page = Served(tmp_path_factory.mktemp("shared") / "data", free_port())
    yield page
    page.stop()
    assert page.process.returncode in (0, 128 + signal.SIGTERM)


@pytest.fixture
def served(shared: Served) -> Served:
    shared.forget()
    return shared


def opened(browser, served: Served, width: int = 900, **more):
    context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True, **more)
    page = context.new_page()
    page.goto(served.url)
    page.wait_for_selector("#lift", timeout=WAIT)
    page.wait_for_selector("#now p", timeout=WAIT)
    return page


def lifted(page, name: str = "an arc") -> None:
    page.get_by_role("button", name=f"Try {name}").click()
    page.wait_for_function(
        f"document.querySelector('#motion-name textarea, #motion-name input').value == '{name}'", timeout=WAIT
    )
    page.get_by_role("button", name="Lift the motion").click()
    page.wait_for_selector("#result iframe", timeout=WAIT)


def asked(page, prompt: str) -> None:
    """Of the motion that was lifted last, which is chosen by itself."""
    page.get_by_role("tab", name="Video").click()
    page.wait_for_function("document.querySelector('#motion input').value != ''", timeout=WAIT)
    page.locator("#prompts textarea").fill(prompt)
    page.get_by_label("draft").check()
    page.get_by_role("button", name="Make the video").click()


def chosen(page, field: str) -> None:
    """The first of a list; one that is opened while its panel still unfolds closes again, and is then opened once more."""
    own, option = page.locator(f"{field} input"), page.get_by_role("option").first
    for _ in range(OPENED_AGAIN):
        own.click()
        page.wait_for_timeout(1000)
        if option.is_visible():
            option.click()
            return
        own.blur()
    raise AssertionError(f"{field} has no list")


@pytest.mark.slow
def test_from_a_clip_to_a_video_that_is_downloaded(browser, served: Served, tmp_path: Path):
    page = opened(browser, served)
    clip = tmp_path / "<b>my clip.gif"
    Clip.of(render([sample(3, 1, motion="arc", camera="still")]).frames[0], 8).save(clip)
    page.locator("#clip-upload input[type=file]").set_input_files(clip)
    page.wait_for_function(
        "document.querySelector('#motion-name textarea, #motion-name input').value != ''", timeout=WAIT
    )
    page.get_by_role("button", name="Lift the motion").click()
    page.wait_for_selector("#result iframe", timeout=WAIT)
    asked(page, "a red star on a blue plain background")
    page.wait_for_selector("#preview img", timeout=WAIT)  # it is seen while it is made
    page.wait_for_selector("#download:visible", timeout=WAIT)
    with page.expect_download() as download:
        page.locator("#download").click()
    download.value.save_as(tmp_path / "made.mp4")
    assert len(Clip.read(tmp_path / "made.mp4", frames=9, fps=8, aspect=(1, 1)).frames) == 9
    page.get_by_role("tab", name="History").click()
    assert "motionlift cast" in page.locator("#history code").first.text_content()
    chosen(page, "#history-number")
    page.wait_for_selector("#history-seen iframe", timeout=WAIT)
    with page.expect_download() as download:
        page.locator("#history-download").click()
    assert download.value.path().read_bytes() == (tmp_path / "made.mp4").read_bytes()
    page.get_by_role("button", name="Measure a video").click()
    chosen(page, "#score-number")
    page.locator("#score").click()
    page.wait_for_selector("#scores table", timeout=WAIT)
    assert "motion fidelity" in page.locator("#scores").text_content().lower()
    assert page.locator("#history b").count() == 0, "names are text"
    assert served.states == [State.DONE, State.DONE]


@pytest.mark.slow
def test_reloaded_and_cancelled_and_seen_by_nobody_else(browser, served: Served):
    page = opened(browser, served)
    lifted(page)
    asked(page, "\n".join(["a red star on a blue plain background"] * 5))
    page.wait_for_selector("#cancel:visible", timeout=WAIT)
    page.reload()  # in the middle
    page.wait_for_selector("#cancel:visible", timeout=WAIT)
    other = opened(browser, served)
    other.get_by_role("tab", name="History").click()
    other.locator("#history").get_by_text("Nothing was made yet").wait_for(timeout=WAIT)
    for _ in range(60):
        if not page.locator("#cancel").is_visible():
            break
        page.evaluate("document.querySelector('#cancel')?.click()")  # it may just be going
        page.wait_for_timeout(500)
    deadline = time.monotonic() + 60
    while any(state in (State.WAITING, State.RUNNING) for state in served.states):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert State.CANCELLED in served.states and State.FAILED not in served.states


@pytest.mark.slow
def test_killed_in_the_middle_it_is_stopped_and_done_again(browser, tmp_path: Path):
    port = free_port()
    served = Served(tmp_path / "data", port)
    page = opened(browser, served)
    lifted(page)
    asked(page, "a red star on a blue plain background")
    page.wait_for_selector("#cancel:visible", timeout=WAIT)
    served.stop(signal.SIGKILL)
    again = Served(served.data, port)
    try:
        page.goto(again.url)
        page.wait_for_selector("#now p", timeout=WAIT)
        page.get_by_role("tab", name="History").click()
        page.wait_for_selector("#history .stopped", timeout=WAIT)
        chosen(page, "#history-number")
        page.get_by_role("button", name="Do it again").click()
        page.wait_for_selector("#download:visible", timeout=WAIT)
        assert again.states == [State.DONE, State.STOPPED, State.DONE]
    finally:
        again.stop()


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_one_column_with_names_for_all(browser, served: Served, dark: bool):
    page = opened(browser, served, 390, color_scheme="dark" if dark else "light", has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(UNNAMED) == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement !== document.body")


@pytest.mark.slow
def test_what_the_model_gets_is_seen_and_laid_by_a_touch(browser, served: Served, tmp_path: Path):
    page = opened(browser, served)
    wide = render([sample(3, 1, motion="arc", camera="still")], 64, 128).frames[0]
    Clip.of(wide, 8).save(tmp_path / "wide.mp4")
    page.locator("#clip-upload input[type=file]").set_input_files(tmp_path / "wide.mp4")
    page.wait_for_selector("#frames img", timeout=WAIT)
    assert "The model gets" in page.locator("#clip-told").text_content()
    before = page.locator("#outline img").get_attribute("src")
    box = page.locator("#outline img").bounding_box()  # the picture, 128 wide, stands in its middle
    page.locator("#outline img").click(position={"x": box["width"] / 2 - 50, "y": box["height"] / 2})
    page.wait_for_function("before => document.querySelector('#outline img').src !== before", arg=before, timeout=WAIT)
    page.get_by_role("button", name="Part of the clip").click()
    assert page.get_by_label("The crop's middle lies at").input_value() == "a point"
    page.get_by_role("button", name="What goes together").click()
    page.wait_for_selector("#matching table", timeout=WAIT)
    film = page.locator("#film img").bounding_box()
    page.locator("#film img").click(position={"x": 0.75 * film["width"], "y": film["height"] / 2})
    page.wait_for_function("document.querySelector('#part-duration input').value != '0'", timeout=WAIT)
    lasts = float(page.get_by_label("Duration, seconds").input_value())
    assert lasts == pytest.approx(0.75 * 17 / 8, abs=0.05)


@pytest.mark.slow
def test_a_motion_is_edited_in_the_library(browser, served: Served):
    page = opened(browser, served)
    lifted(page)
    page.get_by_role("tab", name="Library").click()
    chosen(page, "#library-motion")
    page.get_by_role("button", name="Mirror: left and right swapped").click()
    page.wait_for_selector("text=an arc mirror", timeout=WAIT)
    assert page.locator(".library video").count() == 2


@pytest.mark.slow
def test_a_video_begins_with_a_picture_and_a_motion_that_was_moved(browser, served: Served, tmp_path: Path):
    page = opened(browser, served)
    lifted(page)
    page.get_by_role("tab", name="Library").click()
    chosen(page, "#library-motion")
    page.get_by_role("button", name="Move →").click()
    page.wait_for_selector("text=an arc move 0.125 0", timeout=WAIT)
    photo = render([sample_named(3, 1, 1, objects=1, motion="rest", camera="still")], 64, 64).frames[0][0]
    Image.fromarray(photo.numpy()).save(tmp_path / "photo.png")
    page.get_by_role("tab", name="Video").click()
    page.get_by_role("button", name="Begin with a picture").click()
    page.locator("#cast-picture input[type=file]").set_input_files(tmp_path / "photo.png")
    page.wait_for_selector("#cast-picture img", timeout=WAIT)
    asked(page, "a red car on a grey road")
    page.wait_for_selector("#download:visible", timeout=WAIT)
    with page.expect_download() as download:
        page.locator("#download").click()
    download.value.save_as(tmp_path / "made.mp4")
    first = Clip.read(tmp_path / "made.mp4", frames=17, fps=8, aspect=(1, 1)).frames[0]
    assert (first.float() - photo.float()).abs().mean() < 20, "the picture, but for the autoencoder"
    page.get_by_role("tab", name="History").click()
    command = page.locator("#history code").first.text_content()
    assert "--picture" in command and "an arc move 0.125 0" in command


@pytest.mark.slow
def test_what_a_camera_records_is_a_clip(browser, served: Served, tmp_path: Path):
    recorded(tmp_path / "recorded.webm", [number / 10 for number in range(12)])
    page = opened(browser, served, permissions=["camera"])
    # The camera is Chromium's; its encoder is too slow for a busy machine, and gives way to what was encoded before.
    page.evaluate(RECORDER, base64.b64encode((tmp_path / "recorded.webm").read_bytes()).decode())
    page.get_by_role("button", name="Record a clip").click()
    page.locator("#camera [title='grant webcam access']").get_by_role("button").click()
    page.get_by_label("start recording").click(timeout=WAIT)
    page.locator("#camera .capture-button").click(timeout=WAIT)
    page.wait_for_selector("#frames img", timeout=WAIT)
    assert page.locator("#motion-name textarea, #motion-name input").input_value() == "recording"
    kept = list((served.data / "visitors").rglob("sample.webm"))
    assert [place.read_bytes() for place in kept] == [(tmp_path / "recorded.webm").read_bytes()]


@pytest.mark.slow
def test_two_windows_delete_one_motion(browser, served: Served):
    page = opened(browser, served)
    lifted(page)
    other = page.context.new_page()
    other.goto(served.url)
    for each in (page, other):
        each.get_by_role("tab", name="Library").click()
        chosen(each, "#library-motion")
    page.get_by_role("button", name="Delete").click()
    page.wait_for_selector("text=No motions yet", timeout=WAIT)
    other.get_by_role("button", name="Delete").click()
    other.wait_for_selector("text=it may have been deleted in another window", timeout=WAIT)
