"""A model, clips and a motion for the command line."""

import json
from collections.abc import Iterator
from pathlib import Path

import diffusers
import pytest
import transformers

from motionlift.cli import terminal
from motionlift.cli.main import run
from tests import twins
from tests.cli.calls import QUICK
from tests.cli.offered import not_offered
from tests.cli.real_runs import Place, placed


@pytest.fixture(scope="module", autouse=True)
def _no_progress_bars() -> Iterator[None]:
    """As ``cli.main`` has it, which tests cannot call: it changes the whole process."""
    for log in (diffusers.utils.logging, transformers.utils.logging):
        log.disable_progress_bar()
    yield
    for log in (diffusers.utils.logging, transformers.utils.logging):
        log.enable_progress_bar()


@pytest.fixture(scope="package")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "twin"
    twins.EVERY_TWIN["cogvideox-rotary"]().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="package")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "table"
    twins.EVERY_TWIN["cogvideox-table"]().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="package")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of the world; the first shows one object that moves, the second shows two."""
    folder = tmp_path_factory.mktemp("world") / "clips"
    assert run(["world", str(folder), "--count", "16", "--seed", "4", "--frames", "17", "--size", "32"]) == 0
    truths = {path: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    one = next(path for path, told in truths.items() if len(told["objects"]) == 1 and told["motion"] == "line")
    two = next(path for path, told in truths.items() if len(told["objects"]) == 2)
    for old, new in ((one, "one"), (two, "two")):
        for suffix in (".mp4", ".json"):
            old.with_suffix(suffix).rename(folder / (new + suffix))
    return folder


@pytest.fixture(scope="package")
def motion(clips: Path, model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motions") / "line.safetensors"
    assert run(["lift", str(clips / "one.mp4"), "--model", model, "--output", str(path), *QUICK]) == 0
    return path


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture(autouse=True)
def _options_that_are_named_are_there(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test is about, no line tells a person to give an option that the command at hand lacks."""
    missing, shown = list[tuple[str, str]](), terminal.shown

    def looked_at(text: str) -> str:
        missing.extend((option, text) for option in not_offered(text, terminal.COMMAND_LINE.get(())))
        return shown(text)

    monkeypatch.setattr(terminal, "shown", looked_at)
    yield
    assert missing == []


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Where real processes of the program work."""
    with placed(tmp_path) as found:
        yield found
