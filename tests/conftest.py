"""Checks every shape annotation of the package while tests run; keeps tests off the network and out of the home."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import annotations, no_posix, time_limit
from tests.full_disk import FullDisk, mounted

# Before anything imports torch: the tensors are small, and threads that wait for each other stall on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"

# Before anything imports motionlift.
annotations.install()
if no_posix.is_asked_for():
    no_posix.hide()


def pytest_addoption(parser: pytest.Parser) -> None:
    time_limit.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    time_limit.register(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark those tests slow of which a module's ``slow_where`` says so by their parameters."""
    for item in items:
        is_slow = getattr(getattr(item, "module", None), "slow_where", None)
        if is_slow is not None and hasattr(item, "callspec") and is_slow(**item.callspec.params):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _temporary_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One home folder for the whole run, so that libraries build their own caches there once."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
            patch.setenv(name, str(home))
        yield


@pytest.fixture(autouse=True)
def motion_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that lifted motions are cached in during one test; empty at its start."""
    folder = tmp_path / "motion-cache"
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(folder))
    return folder


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[FullDisk]:
    """A disk of a megabyte."""
    yield from mounted(tmp_path / "disk")
