"""Every tab with all that it can hold: on a phone, for those who hear it read, and with videos that are large."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from motionlift.app.jobs import Jobs
from motionlift.app.making import Live
from motionlift.app.page import STUDY, STYLE, built
from motionlift.app.server import NAME
from motionlift.app.showing import MOST_EMBEDDED
from motionlift.app.tasks import LIFT, Task
from motionlift.app.workspace import DRAWN, MOTION, REFERENCE, Workspace
from motionlift.models.sources import DEFAULT_MODEL
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.work.lift import lift
from motionlift.world.scenes import render, sample
from tests import twins
from tests.app.conftest import UNNAMED, repeated
from tests.app.test_page import chosen
from tests.app.test_pieces import begun, open_tab

pytestmark = pytest.mark.slow
WAIT = 60_000
"""Milliseconds that a slow machine may take for a step."""
PASSWORD = "long enough"
PLAYING = """() => { const all = [...document.querySelectorAll('video')];
    return all.length >= COUNT && all.every(each => each.readyState >= 2 && each.duration > 0) }"""
SIZES = "() => [...document.querySelectorAll('video')].map(each => each.videoWidth)"
TABS = {
    "Motion": ("Part of the clip", "More settings", "What goes together"),
    "Video": ("Begin with a picture", "More settings", "What it takes"),
    "Library": (),
    "History": ("Measure a video",),
    "Draw": (),
    "Study": (),
}
"""Every tab, and what can be unfolded in it."""


class Quick:
    """Makes the same motion and the same video of everything, at once."""

    def __init__(self, motion: Motion, video: Path):
        self.motion, self.video = motion, video

    def made(self, task: Task, workspace: Workspace, live: Live) -> tuple[str, ...]:
        place = workspace.new(task.name, MOTION if task.kind == LIFT else ".mp4")
        kinds = (DRAWN, REFERENCE) if task.kind == LIFT else ()
        videos = [place.with_name(place.stem + kind) for kind in kinds] or [place]
        for each in videos:
            shutil.copyfile(self.video, each)
        if task.kind == LIFT:
            self.motion.save(place)
        return (place.name, *(each.name for each in videos if each != place))

    def forget(self) -> None:
        """There is nothing."""


@pytest.fixture(scope="module")
def motion() -> Motion:
    clip = Clip.of(render([sample(3, 1, 9, motion="line", camera="still")], 32, 32).frames[0], 8)
    found = lift(clip, twins.cogvideox(), "ditflow", settings={"steps": 2}, cached=False)
    return replace(found, model=DEFAULT_MODEL)


def video_of(place: Path, side: int) -> Path:
    generator = torch.Generator().manual_seed(1)
    frames = torch.randint(0, 256, (9, side, side, 3), generator=generator, dtype=torch.uint8)
    Clip.of(frames, 8).save(place)
    return place


@pytest.fixture
def address(request: pytest.FixtureRequest, motion: Motion, tmp_path: Path, free_tcp_port: int) -> Iterator[str]:
    """A page with a password, and with a study, whose videos are of the side that a test asks for."""
    data, video = tmp_path / "data", video_of(tmp_path / "video.mp4", request.param)
    item = data / STUDY / "a jump"
    item.mkdir(parents=True)
    for name in ("reference", "ditflow", "none"):
        shutil.copyfile(video, item / f"{name}.mp4")
    (item / "prompt.txt").write_text("a star with a rather long description of what it does, and where, and how often")
    jobs = Jobs(data, Quick(motion, video))
    page = built(jobs, data, "0" * 64)
    page.launch(
        server_port=free_tcp_port,
        prevent_thread_lock=True,
        quiet=True,
        css=STYLE,
        auth=(NAME, PASSWORD),
        footer_links=[],
    )
    yield f"http://127.0.0.1:{free_tcp_port}"
    page.close(verbose=False)
    jobs.close()


def photo(folder: Path) -> Path:
    Image.new("RGB", (320, 200), (0, 120, 200)).save(folder / "a photo.png")
    return folder / "a photo.png"


def filled(browser, address: str, width: int, picture: Path, **more):
    """The page as one sees it who has lifted a motion, cast it with a picture, and drawn a path."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **more)
    context.request.post(f"{address}/login", form={"username": NAME, "password": PASSWORD})
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.goto(address)
    page.wait_for_selector("#now p")
    page.get_by_role("button", name="Try an arc").click()
    page.wait_for_selector("#frames img")
    page.locator("#lift").click()
    page.wait_for_selector("#result iframe")
    open_tab(page, "Video")
    page.wait_for_function("document.querySelector('#motion input').value != ''")
    page.locator("#prompts textarea").fill("a red star, " + "which has a very long description " * 4)
    unfold = page.get_by_role("button", name="Begin with a picture")
    unfold.click()
    page.locator("#cast-picture input[type=file]").set_input_files(picture)
    page.wait_for_selector("#cast-picture img")
    unfold.click()
    page.locator("#cast").click()
    page.wait_for_selector("#download:visible")
    open_tab(page, "History")
    chosen(page, "#history-number")
    page.wait_for_selector("#history-seen iframe")
    open_tab(page, "Draw")
    repeated(page.locator("#path-example").click, page.locator("#path-seen img"))
    open_tab(page, "Study")
    begun(page, page.locator("#study-pair iframe"))
    return page


def playing(page, place: str, count: int):
    """The frame of a player, once all its videos can be seen."""
    frame = page.wait_for_selector(f"{place} iframe").content_frame()
    frame.wait_for_function(PLAYING.replace("COUNT", str(count)), timeout=WAIT)
    return frame


@pytest.mark.parametrize("address", [64], indirect=True)
@pytest.mark.parametrize("dark", [False, True])
def test_every_tab_fits_a_phone_and_names_all(browser, address: str, dark: bool, tmp_path: Path):
    page = filled(browser, address, 390, photo(tmp_path), color_scheme="dark" if dark else "light", has_touch=True)
    for tab, folded in TABS.items():
        open_tab(page, tab)
        for title in folded:
            page.get_by_role("button", name=title).locator("visible=true").click()
        if tab == "Motion":
            page.wait_for_selector("#matching table")
        page.wait_for_timeout(1000)  # what is unfolded moves for a while
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, tab
        for frame in page.frames:
            assert frame.evaluate(UNNAMED) == [], tab
            assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
    page.context.close()


@pytest.mark.parametrize("address", [640], indirect=True)
def test_large_videos_play_wherever_they_are(browser, address: str, tmp_path: Path):
    assert (tmp_path / "video.mp4").stat().st_size > MOST_EMBEDDED
    page = filled(browser, address, 900, photo(tmp_path))
    assert set(playing(page, "#study-pair", 3).evaluate(SIZES)) == {640}, "participants see the very files"
    assert max(playing(page, "#result", 2).evaluate(SIZES)) <= 480
    open_tab(page, "History")
    playing(page, "#history-seen", 2)
    open_tab(page, "Library")
    page.wait_for_function("document.querySelector('.library video')?.readyState >= 2")
    page.context.close()
