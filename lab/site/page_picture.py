"""Takes the picture of the web page that README and docs show: ``python -m lab.site.page_picture``; it needs Chromium."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "app.png"
PORT = 7961
WIDTH, HEIGHT = 600, 900
"""Of the window, pixels."""
PROMPTS = "a red car on a grey road\na yellow fish in the sea"
WAIT = 300_000
"""Milliseconds that a slow machine may take for a step."""


def main() -> None:
    """Serve the page with nothing in it, make what is shown, and take the picture."""
    from playwright.sync_api import sync_playwright

    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("Chromium must be on the path.")
    with tempfile.TemporaryDirectory() as data:
        words = [sys.executable, "-m", "motionlift", "app", "--port", str(PORT), "--data", data, "--device", "cpu"]
        server = subprocess.Popen(words, env={**os.environ, "MOTIONLIFT_CACHE": str(Path(data) / "cache")})
        try:
            _wait_for(server)
            with sync_playwright() as playwright:
                opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
                _take(opened.new_page(viewport={"width": WIDTH, "height": HEIGHT}))
                opened.close()
        finally:
            server.terminate()
            server.wait()


def _wait_for(server: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}", timeout=1).close()
        except OSError:
            if server.poll() is not None:
                sys.exit("the page is not served")
            time.sleep(0.5)
        else:
            return


def _take(page: Any) -> None:
    page.set_default_timeout(WAIT)
    page.goto(f"http://127.0.0.1:{PORT}")
    page.wait_for_selector("#now p")
    page.get_by_role("button", name="Try an arc").click()
    page.wait_for_selector("#frames img")
    page.get_by_role("button", name="Lift the motion").click()
    page.wait_for_selector("#result iframe")
    page.get_by_role("tab", name="Video").click()
    page.wait_for_function("document.querySelector('#motion input').value != ''")
    page.locator("#prompts textarea").fill(PROMPTS)
    page.get_by_role("button", name="Make the video").click()
    page.wait_for_function("document.querySelector('#result iframe')?.srcdoc.split('<video ').length === 4")
    page.wait_for_function("document.querySelector('#now').textContent.includes('Nothing is being made')")
    page.get_by_role("tab", name="Library").click()
    page.wait_for_selector("#library video")
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(3000)
    page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
