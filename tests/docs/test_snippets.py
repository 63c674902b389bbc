"""What README and docs show as code is right: commands and options exist, programs run."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from PIL import Image

import motionlift
from motionlift.bench.run_file import read_run
from motionlift.cli.app import app
from motionlift.jobs.job_file import read_jobs
from motionlift.methods import methods
from motionlift.world.truth import write_world
from tests.docs.pages import BLOCKS, PROGRAMS, ROOT, Block, commands

CONSOLES = [block for block in BLOCKS if block.language in ("", "sh", "console")]
CALLS = [(str(block), line) for block in CONSOLES for line in commands(block) if line.startswith("motionlift ")]
RUN = ("README.md", "docs/api.md", "docs/start/engineer.md")
"""Pages whose programs run as they stand."""
TAKES_A_PIPELINE = "pipeline.unet"
"""In README's program for peft: a pipeline of the reader's own, which tests of exports load into."""
ADDED = "--method neighbours --set block=1"
"""Names a method that a page adds, which :mod:`tests.docs.test_adding` does."""


def test_commands_are_found():
    assert len(CALLS) > 40


@pytest.mark.parametrize(("where", "line"), CALLS, ids=[f"{where}-{n}" for n, (where, _) in enumerate(CALLS)])
def test_a_command_line_can_be_read(where: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    group: Any = typer.main.get_command(app)
    words = shlex.split(line.replace(ADDED, "--method smm"))[1:]
    while words and words[0] in group.commands and hasattr(group.commands[words[0]], "commands"):
        group, words = group.commands[words[0]], words[1:]
    assert words and words[0] in group.commands, f"{where}: {line}"
    command = group.commands[words[0]]
    for word in ("reference.mp4", "clip.mp4"):
        (tmp_path / word).touch()
    if command.name != "again":
        command.make_context(command.name, list(words[1:]), resilient_parsing=False)
    assert {*re.findall(r"--method (\S+)", line.replace(ADDED, ""))} <= {*methods()}


def test_targets_of_make_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for block in CONSOLES:
        for target in re.findall(r"^(?:\$ )?make ([a-z-]+)", block.text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{block}: {target}"


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
def test_a_program_can_be_read(block: Block):
    compile(block.text, str(block), "exec")
    for name in re.findall(r"\bml\.(\w+)", block.text):
        assert name in motionlift.__all__, f"{block}: {name}"


YAML = [each for each in BLOCKS if each.language == "yaml"]


@pytest.mark.parametrize("block", [each for each in YAML if "jobs:" in each.text], ids=str)
def test_a_job_file_can_be_read(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    for name in ("fast", "slow", "walk"):
        (tmp_path / "clips" / f"{name}.mp4").write_bytes(b"clip")
    Image.new("RGB", (8, 8)).save(tmp_path / "cat.png")
    (tmp_path / "night.yaml").write_text(block.text, encoding="utf-8")
    assert len(read_jobs("night.yaml").jobs) > 2


@pytest.mark.parametrize("block", [each for each in YAML if "jobs:" not in each.text], ids=str)
def test_a_run_file_can_be_read(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    told = yaml.safe_load(block.text)
    told["references"] = [each for each in told["references"] if "folder" not in each]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")
    assert read_run(str(tmp_path / "mine.yaml")).methods


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_the_programs_of_a_page_run(page: str, tmp_path: Path):
    write_world(tmp_path / "clips", 1, 1, 17, 64)
    (tmp_path / "clip.mp4").write_bytes((tmp_path / "clips" / "0000.mp4").read_bytes())
    own = [block for block in PROGRAMS if block.page == page and TAKES_A_PIPELINE not in block.text]
    assert own
    program = "\n".join(f"exec(compile({block.text!r}, {str(block)!r}, 'exec'), {{}})" for block in own)
    run = subprocess.run(
        [sys.executable, "-c", f"import tests.docs.few_steps\n{program}"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
