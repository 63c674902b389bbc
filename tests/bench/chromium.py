"""Headless Chromium for looking at pages.

``python -m tests.bench.chromium REPORT.html PICTURE.png`` makes a picture of a report: the charts and videos of its last section.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "chrome-headless-shell")
WIDTH, HEIGHT = 1280, 1165
"""Of the picture of a report, in pixels: charts, and videos of some references."""
CHARTS = """
(async () => {
  if (document.readyState !== "complete") await new Promise(done => addEventListener("load", done));
  for (const video of document.querySelectorAll("video")) {
    video.currentTime = video.duration / 2;
    await new Promise(done => video.addEventListener("seeked", done));
  }
  return [...document.querySelectorAll(".charts")].at(-1).getBoundingClientRect().top + scrollY;
})()
"""
"""Brings every video to its middle, and tells where the last charts begin."""


def browser() -> str | None:
    named = os.environ.get("MOTIONLIFT_CHROMIUM")
    return named or next((found for name in BROWSERS if (found := shutil.which(name))), None)


class Chromium:
    """A browser without a window, spoken to through pipes (Chrome DevTools Protocol)."""

    def __init__(self, program: str, profile: Path):
        their_input, our_output = os.pipe()
        our_input, their_output = os.pipe()
        # It reads from 3 and writes to 4: moved out of their way first, so that neither overwrites the other.
        high = [fcntl.fcntl(each, fcntl.F_DUPFD, 64) for each in (their_input, their_output)]
        self._process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
             "--autoplay-policy=no-user-gesture-required", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(3, 4),
            preexec_fn=lambda: [os.dup2(each, place) for each, place in zip(high, (3, 4), strict=True)],
        )  # fmt: skip
        for each in (their_input, their_output, *high):
            os.close(each)
        self._output, self._input = our_output, our_input
        self._session: dict[str, str] = {}
        self._number, self._rest = 0, b""

    def __enter__(self) -> "Chromium":
        page = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]}
        self.ask("Page.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._output)
        os.close(self._input)

    def ask(self, method: str, **parameters: Any) -> Any:
        """Send a request and wait for its answer."""
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._output, json.dumps(request).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._input], [], [], 60)
            read = os.read(self._input, 1 << 16) if ready else b""
            assert read, "the browser ended, or does not answer"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def show_at(self, width: int) -> None:
        """Lay pages out at a width, in light colours and without scroll bars."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setScrollbarsHidden", hidden=True)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])

    def picture(self, top: float = 0, height: float | None = None) -> bytes:
        """The page, or a part of its height, as PNG."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"scale": 1, **size, "y": top, "height": size["height"] - top if height is None else height}
        taken = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(taken["data"])


def main() -> None:
    """Command line."""
    program = browser()
    if len(sys.argv) != 3 or program is None:
        sys.exit(f"{__doc__}\nChromium must be on the path, or be named by MOTIONLIFT_CHROMIUM.")
    page, picture = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as profile, Chromium(program, Path(profile)) as chromium:
        chromium.show_at(WIDTH)
        chromium.ask("Page.navigate", url=page.resolve().as_uri())
        told = chromium.ask("Runtime.evaluate", expression=CHARTS, awaitPromise=True, returnByValue=True)
        picture.write_bytes(chromium.picture(told["result"]["value"], HEIGHT))


if __name__ == "__main__":
    main()
