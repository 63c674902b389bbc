"""What the pages say of adding a method, a model and a metric is done in a copy of the package, as it stands there."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from motionlift.world.truth import write_world
from tests.docs.pages import ROOT

PACKAGE = ROOT / "src" / "motionlift"
WEIGHTS = PACKAGE / "world" / "weights"
LIFT_AND_CAST = """
import motionlift as ml
from dataclasses import replace
from motionlift.models.families import families
from tests.twins.mochi import mochi

assert "mochi" not in families()
model = ml.load(mochi())
assert model.about.family == "mochi-again"
motion = ml.lift("clip.mp4", model, settings={"steps": 3}, frames=7, size=(32, 32))
assert len(ml.cast(motion, "a star", model).clip.frames) == 7
"""

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs Python with a copy of the package, where a reference is at hand."""
    shutil.copytree(PACKAGE, tmp_path / "copy" / "motionlift", ignore=shutil.ignore_patterns("weights", "__pycache__"))
    (tmp_path / "copy" / "motionlift" / "world" / "weights").symlink_to(WEIGHTS, target_is_directory=True)
    write_world(tmp_path, 1, 1, 17, 64)
    (tmp_path / "0000.mp4").rename(tmp_path / "clip.mp4")

    def called(*words: str) -> str:
        found = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "copy"), str(ROOT)])},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert found.returncode == 0, found.stderr
        return found.stdout

    return called


def add(page: str, folder: Path) -> None:
    """Write the file of a page where the page says."""
    text = (ROOT / "docs" / "add" / page).read_text(encoding="utf-8")
    (found,) = re.findall(r"`src/(motionlift/[\w/]+\.py)`:\n\n```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    path = folder / "copy" / found[0]
    assert path.parent.is_dir() and not path.exists()
    path.write_text(found[1], encoding="utf-8")


def told(page: str, command: str) -> Sequence[str]:
    """The words of the line of a page that calls a command."""
    text = (ROOT / "docs" / "add" / page).read_text(encoding="utf-8")
    (line,) = re.findall(rf"^\$ motionlift {command} (.*)$", text, re.MULTILINE)
    return [part.strip('"') for part in re.findall(r'"[^"]*"|\S+', line)]


@pytest.mark.slow
def test_a_method_is_added_as_the_page_says(run: Run, tmp_path: Path):
    add("method.md", tmp_path)
    listed = json.loads(run("-m", "motionlift", "methods", "--json"))
    assert "neighbours" in json.dumps(listed)
    run("-m", "motionlift", "transfer", *told("method.md", "transfer"), "--steps", "5")
    record = json.loads((tmp_path / "car.json").read_text(encoding="utf-8"))
    assert record["method"] == "neighbours"


@pytest.mark.slow
def test_a_metric_is_added_as_the_page_says(run: Run, tmp_path: Path):
    add("metric.md", tmp_path)
    shutil.copyfile(tmp_path / "clip.mp4", tmp_path / "car.mp4")
    scores = json.loads(run("-m", "motionlift", "score", *told("metric.md", "score"), "--metrics", "brightness"))
    assert '"brightness": 0.0' in json.dumps(scores)


@pytest.mark.slow
def test_a_model_is_added_as_the_page_says(run: Run, tmp_path: Path):
    (tmp_path / "copy" / "motionlift" / "models" / "families" / "mochi.py").unlink()
    add("model.md", tmp_path)
    run("-c", LIFT_AND_CAST)
