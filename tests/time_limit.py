"""``--minutes N``: tests that have not begun after N minutes are skipped, and other files come first at other commits.

So a slow machine ends in time, and what it left out is run at one of the next commits. Without the option nothing here acts.
"""

import hashlib
import subprocess
import time
from pathlib import Path

import pytest

REASON = "not begun within the minutes that were given"


def add_option(parser: pytest.Parser) -> None:
    """Offer ``--minutes``."""
    parser.addoption("--minutes", type=float, help="skip tests that have not begun after so many minutes")


def commit() -> str:
    """The commit that is checked out; nothing where there is no repository."""
    there = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(there, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def mixed(files: list[str], seed: str) -> list[str]:
    """Files in an order that depends on the seed alone."""
    return sorted(files, key=lambda file: hashlib.sha256(f"{seed} {file}".encode()).digest())


class TimeLimit:
    """Skips what begins too late, and says how much that was.

    Args:
        minutes: How long tests may begin.
        seed: Which order of the files is meant.
    """

    def __init__(self, minutes: float, seed: str) -> None:
        self.end = time.monotonic() + 60 * minutes
        self.seed = seed

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        files = mixed(list(dict.fromkeys(str(item.path) for item in items)), self.seed)
        place = {file: index for index, file in enumerate(files)}
        items.sort(key=lambda item: place[str(item.path)])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        if time.monotonic() > self.end:
            pytest.skip(REASON)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        skipped = terminalreporter.stats.get("skipped", [])
        late = sum(REASON in str(report.longrepr) for report in skipped)
        terminalreporter.write_line(
            f"{late} tests were {REASON}; files came in the order of {self.seed or 'no commit'}"
        )


def register(config: pytest.Config) -> None:
    """Limit this run where that was asked for."""
    minutes: float | None = config.getoption("--minutes")
    if minutes is not None:
        config.pluginmanager.register(TimeLimit(minutes, commit()), "time-limit")
