"""Where POSIX is absent, as on Windows: everything is imported, and commands run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)
"""Found in names of files that Windows does not take."""


def without_posix(folder: Path, *arguments: str) -> str:
    """Standard output of the command line in a folder."""
    places = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    told = subprocess.run(
        [sys.executable, "-m", "tests.no_posix", *arguments],
        capture_output=True, text=True, cwd=folder, env={**os.environ, "PYTHONPATH": places}, timeout=300,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return told.stdout


@pytest.mark.slow
def test_every_module_is_imported(tmp_path: Path):
    without_posix(tmp_path, "--import-all")


@pytest.mark.slow
def test_clips_are_made(tmp_path: Path):
    without_posix(tmp_path, "world", "clips", "--count", "1", "--size", "32")
    assert {path.name for path in (tmp_path / "clips").iterdir()} == {"0000.mp4", "0000.json"}


@pytest.mark.slow
def test_motion_is_lifted_kept_and_cast(tmp_path: Path):
    without_posix(tmp_path, "world", "clips", "--count", "1")
    quick, prompt = ("--steps", "2"), ("--prompt", "a red star on the blue field")
    without_posix(tmp_path, "lift", "clips/0000.mp4", *quick)
    without_posix(tmp_path, "cast", "motion.safetensors", *prompt, "--output", "cast.mp4")
    tuned = ("--method", "motiondirector", "--model", "tiny-unet", "--set", "tuning_steps=2", "--run", "run", *quick)
    without_posix(tmp_path, "transfer", "clips/0000.mp4", *prompt, *tuned, "--output", "tuned.mp4")
    assert {"motion.safetensors", "cast.mp4", "tuned.mp4", "run"} <= {path.name for path in tmp_path.iterdir()}
    for path in tmp_path.rglob("*"):
        assert not FORBIDDEN.search(path.name), path
