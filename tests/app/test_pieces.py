"""Drawing a path, and a user study, in a browser; the queue does nothing here."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from motionlift.app.jobs import Jobs
from motionlift.app.page import STUDY, STYLE, built
from motionlift.app.study import ANSWERS
from motionlift.bench.report.answers import read_answers
from motionlift.video.reading import check_moves
from motionlift.world.truth import write_world
from tests.app.conftest import repeated

pytestmark = pytest.mark.slow
WAIT = 60_000
"""Milliseconds that a slow machine may take for a step."""


class Idle:
    """Holds every task, so that what was asked for can be looked at."""

    def __init__(self):
        self.tasks, self.came = [], threading.Event()

    def made(self, task, workspace, live) -> tuple[str, ...]:
        self.tasks.append((task, workspace.kept(task.source)))
        self.came.set()
        return ()

    def forget(self) -> None:
        """There is nothing."""


@pytest.fixture
def idle() -> Idle:
    return Idle()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def address(data: Path, free_tcp_port: int, idle: Idle, tmp_path: Path) -> Iterator[str]:
    item = data / STUDY / "a jump"
    item.mkdir(parents=True)
    write_world(tmp_path / "clips", 3, 0, 5, 32)
    for number, name in enumerate(("reference", "ditflow", "none")):
        (tmp_path / "clips" / f"{number:04}.mp4").rename(item / f"{name}.mp4")
    (item / "prompt.txt").write_text("a <b>bold</b> star")
    jobs = Jobs(data, idle)
    page = built(jobs, data, "0" * 64)
    page.launch(server_port=free_tcp_port, prevent_thread_lock=True, quiet=True, css=STYLE)
    yield f"http://127.0.0.1:{free_tcp_port}"
    page.close(verbose=False)
    jobs.close()


def test_a_path_becomes_a_task_and_a_study_an_answer(browser, address: str, data: Path, idle: Idle):
    from playwright.sync_api import expect

    context = browser.new_context(viewport={"width": 390, "height": 900}, color_scheme="dark")
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.goto(address)
    tab = "() => { const all = [...document.querySelectorAll('[role=tab]')]; return all.length }"
    page.wait_for_function(f"({tab})() > 4")
    open_tab(page, "Draw")
    repeated(page.locator("#path-example").click, page.locator("#path-seen img"))
    page.locator("#path-seen img").click(position={"x": 20, "y": 20})
    page.wait_for_function(
        "document.querySelector('#path-points textarea, #path-points input').value.split(' ').length == 4"
    )
    page.locator("#path-make").click()
    page.get_by_text("is in the queue").wait_for()
    assert idle.came.wait(60)
    task, clip = idle.tasks[0]
    assert task.name == "drawn motion"
    check_moves(clip)
    page.locator("#path-take").click()
    page.wait_for_function(
        "document.querySelector('#motion-name textarea, #motion-name input').value == 'drawn motion'"
    )
    page.locator("#frames img").wait_for()
    page.wait_for_selector("#lift:visible")
    open_tab(page, "Study")
    begun(page, page.get_by_text("Pair 1 of 1"))
    page.locator("#study-pair iframe").wait_for()
    page.locator("#study-next").scroll_into_view_if_needed()
    page.wait_for_timeout(
        1000
    )  # Chromium takes a click right after scrolling for one on the frame that was there before
    for question, side in (("motion", "A"), ("looks", "B")):
        choice = page.locator(f"#study-{question}").get_by_label(side, exact=True)
        choice.click()
        expect(choice).to_be_checked(timeout=WAIT)
    page.wait_for_timeout(1000)
    assert "<b>bold</b>" in page.locator("#study-pair").inner_text()
    page.locator("#study-next").click()
    page.get_by_text("That was all").wait_for()
    motion, looks = read_answers(data / STUDY / ANSWERS).answers
    assert {motion.preferred, looks.preferred} == {"ditflow", "none"} and motion.participant == "p1"
    context.close()


def begun(page, seen) -> None:
    """A study that a participant begins or goes on with."""

    def begin() -> None:
        page.locator("#code input, #code textarea").fill("p1")
        page.locator("#study-begin").click()

    repeated(begin, seen)


def open_tab(page, title: str) -> None:
    """Open a tab; on a phone some wait behind a button."""
    tab = page.get_by_role("tab", name=title, exact=True).locator("visible=true")
    if not tab.count():
        page.locator(".overflow-menu button").first.click()
        page.locator(".overflow-dropdown").get_by_text(title, exact=True).click()
        return
    tab.first.click()
