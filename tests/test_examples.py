"""The examples run, and the page on Python says what there is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import motionlift
from motionlift.world.truth import write_world

ROOT = Path(__file__).parents[1]
EXAMPLES = {
    "several_prompts.py": (["CLIP", "made", "2"], "a-purple-butterfly-in-the-sky-1.mp4"),
    "frames_in_memory.py": (["2"], "stopped halfway"),
    "compare_methods.py": (["CLIP", "2"], "flowmotion: Scores(motion_fidelity="),
}
"""Arguments of each, and what it says."""


def test_every_example_is_tried():
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == EXAMPLES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name: str, tmp_path: Path):
    arguments, told = EXAMPLES[name]
    write_world(tmp_path, 1, 1, 17, 64)
    words = [str(tmp_path / "0000.mp4") if word == "CLIP" else word for word in arguments]
    found = subprocess.run(
        [sys.executable, ROOT / "examples" / name, *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    assert told in found.stdout
    assert "%|" not in found.stderr, "libraries draw no bars"


def test_the_page_names_all_that_is_public():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:ml\.)?(\w+)", page))
    assert {*motionlift.__all__} - named == set()
    for example in EXAMPLES:
        assert f"(../examples/{example})" in page


def test_the_program_of_the_page_can_be_read():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(programs) > 3
    for program in programs:
        compile(program, "api.md", "exec")
        for name in re.findall(r"\bml\.(\w+)", program):
            assert name in motionlift.__all__, name
