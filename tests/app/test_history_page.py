"""The history in a browser: lines are cancelled, videos compared, and a screen reader hears phases alone."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from motionlift.app.history import State
from motionlift.app.jobs import Jobs
from motionlift.app.making import Live
from motionlift.app.page import STYLE, built
from motionlift.app.tasks import CAST, Task
from motionlift.app.workspace import Workspace
from motionlift.models.loading import load
from motionlift.video.clip import Clip
from motionlift.work.lift import lift
from motionlift.world.scenes import render, sample
from tests import twins
from tests.app.test_jobs import until
from tests.app.test_pieces import open_tab
from tests.work.trials import a_clip

pytestmark = pytest.mark.slow
WAIT = 60_000
"""Milliseconds that a slow machine may take for a step."""
TOLD = "[data-testid=toast-body]"
"""A notice of what is refused."""
HELD = "a star that is never done"


class Painter:
    """Makes videos of a still at once; one is worked on step by step until it is let."""

    def __init__(self):
        self.let = threading.Event()

    def made(self, task: Task, workspace: Workspace, live: Live) -> tuple[str, ...]:
        live.enter("tune")
        while task.prompt == HELD and not self.let.wait(0.3):
            live.done, live.total = live.done + 1, 10_000
        live.enter("drawing")
        place = workspace.new(task.name, ".mp4")
        painted(place, task.seed)
        place.with_suffix(".json").write_text('{"method": "vmc"}')
        return place.name, place.with_suffix(".json").name

    def forget(self) -> None:
        """There is nothing."""


def painted(place: Path, number: int) -> None:
    Clip.of(render([sample(3, number)], 64, 96).frames[0], 8).save(place)


@pytest.fixture
def painter() -> Painter:
    return Painter()


@pytest.fixture
def jobs(tmp_path: Path, painter: Painter) -> Iterator[Jobs]:
    made = Jobs(tmp_path / "data", painter)
    yield made
    painter.let.set()
    made.close()


@pytest.fixture
def page(browser, jobs: Jobs, tmp_path: Path, free_tcp_port: int) -> Iterator:
    served = built(jobs, tmp_path / "data", "0" * 64)
    served.launch(server_port=free_tcp_port, prevent_thread_lock=True, quiet=True, css=STYLE)
    context = browser.new_context(viewport={"width": 390, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(WAIT)
    opened.goto(f"http://127.0.0.1:{free_tcp_port}")
    opened.wait_for_selector("#now p")
    yield opened
    context.close()
    served.close(verbose=False)


@pytest.fixture
def own(page, tmp_path: Path) -> Workspace:
    """The visitor's files, with references of two motions of which each has its clip."""
    page.get_by_role("button", name="Try an arc").click()
    page.wait_for_function("document.querySelector('#motion-name textarea, #motion-name input').value == 'an arc'")
    (folder,) = (tmp_path / "data" / "visitors").iterdir()
    for number, name in enumerate(("one", "other")):
        painted(folder / f"{name} reference.mp4", number)
    return Workspace(folder)


def pick(page, field: str, title: str) -> None:
    """One of a list, whose panel may still unfold."""
    own, option = page.locator(f"{field} input").first, page.get_by_role("option").filter(has_text=title)
    for _ in range(20):
        own.click()
        page.wait_for_timeout(1000)
        if option.count():
            option.first.click()
            return
        own.blur()
    raise AssertionError(f"{field} has no {title}")


def test_lines_are_cancelled_and_videos_compared(page, own: Workspace, jobs: Jobs, painter: Painter):
    made = [Task(CAST, f"{name}.safetensors", name, prompt="a red star") for name in ("one", "other")]
    jobs.submit(own.owner, *made, *[Task(CAST, "one.safetensors", "more", prompt=HELD)] * 4)
    until(lambda: jobs.history.items(own.owner)[3].state is State.RUNNING, 60)
    page.get_by_text("Tuning, step").wait_for()
    # The line that is heard stays the very same while steps are counted in the one that is seen.
    page.evaluate("window.heard = document.querySelector('#now [role=status]'), window.words = heard.textContent")
    assert page.evaluate("words") == f"{HELD}, seed 0: Tuning"
    before = page.locator("#now").inner_text()
    page.wait_for_function("before => document.querySelector('#now').innerText != before", arg=before)
    assert page.evaluate("heard.isConnected && heard.textContent == words")

    open_tab(page, "History")
    pick(page, "#history-number", "6. ")
    page.locator("#forget").click()
    page.locator(TOLD).get_by_text("press Cancel it").wait_for()
    page.locator("#cancel-chosen").click()
    page.get_by_text("Number 6 is cancelled.").wait_for()
    page.locator("#cancel-all").click()
    page.get_by_text("3 tasks are cancelled; number 3 stops at its next step.").wait_for()
    page.locator("#history").get_by_text("stopping ...").wait_for()
    page.locator("#now").get_by_text("Stopping ...").last.wait_for()
    assert page.locator("#cancel").is_disabled()
    painter.let.set()
    until(lambda: jobs.history.items(own.owner)[3].state is State.CANCELLED, 60)
    page.locator("#forget").click()
    page.get_by_text("Number 6 is forgotten, with what it made.").wait_for()

    page.get_by_role("button", name="Compare videos").click()
    pick(page, "#compare-numbers", "2. ")
    pick(page, "#compare-numbers", "1. ")
    page.get_by_text("that of number 2").wait_for()
    player = page.locator("#compare iframe").content_frame
    assert player.locator("video").count() == 3
    titles = player.locator("figcaption").all_inner_texts()
    assert titles[0] == "the reference of number 2" and titles[1].startswith("2. other by vmc: a red star")
    assert all("press Cancel it" in told for told in page.locator(TOLD).all_inner_texts())


def test_what_the_lift_settled_is_said_where_the_quality_is_chosen(page, own: Workspace):
    settings = {"steps": 4, "source_prompt": "a blue ring on the field"}
    motion = lift(a_clip(), load(twins.cogvideox(), "cpu"), "inverted", settings=settings, cached=False)
    motion.save(own.folder / "settled.safetensors")
    open_tab(page, "Video")
    page.locator("#quality").get_by_text("lifted for 4 steps").wait_for()
    page.get_by_role("button", name="More settings").locator("visible=true").click()
    beta = page.get_by_label(
        "Share of the reference's own noise that the video begins with. By itself 1.0"
    )  # of inverted
    for value, told in (("0", "draft takes 10"), ("0.5", "lifted for 4 steps")):
        beta.fill(value)
        page.locator("#quality").get_by_text(told).wait_for()
