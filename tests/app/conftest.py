"""A served page, and a browser that opens it."""

import shutil
import socket
import time
from collections.abc import Callable, Iterator

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""A camera that shows a test picture, and that may be used."""


@pytest.fixture(scope="module")  # two of Playwright cannot be open in one process, and others have their own
def browser() -> Iterator:
    """A headless browser; what needs one is skipped where there is none."""
    found = next((place for place in map(shutil.which, BROWSERS) if place), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", *CAMERA])
        yield opened
        opened.close()


UNNAMED = """[...document.querySelectorAll(
    'button, input:not([type=file]), textarea, select, iframe, [role=button], [role=slider]')].filter(
    each => each.checkVisibility({visibilityProperty: true}) && !(each.textContent.trim() || each.ariaLabel || each.title
        || each.labels?.length || each.getAttribute('aria-labelledby') || each.placeholder)).map(
    each => each.outerHTML.slice(0, 200))"""
"""Finds the controls of a page that are seen and that a screen reader has no name for."""


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def repeated(act: Callable[[], None], seen, seconds: float = 60) -> None:
    """Do what can be done twice until it is seen: what is typed or pressed before a tab is alive is lost.

    Raises:
        AssertionError: it is never seen.
    """
    from playwright.sync_api import TimeoutError as NotSeen

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        act()
        try:
            return seen.wait_for(timeout=5_000)
        except NotSeen:
            continue
    raise AssertionError(f"{seen} is not seen")
