"""The workflows of GitHub run what there is: they are read here, not run."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def workflow(name: str) -> dict[Any, Any]:
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))


def made(jobs: dict[str, Any]) -> set[str]:
    """Targets of make that jobs call."""
    runs = [step["run"].split() for job in jobs.values() for step in job["steps"] if "run" in step]
    return {target for words in runs if words[0] == "make" for target in words[1:]}


def test_every_change_is_tested_with_the_site_and_the_notebooks():
    tests = workflow("tests.yml")
    assert {"push", "pull_request", "workflow_call"} <= tests[True].keys()  # YAML reads the word "on" so
    called = made(tests["jobs"])
    assert called <= TARGETS and {"lint", "typed", "test", "test-slow", "docs", "demo"} <= called
    calls = re.findall(r"^make (.+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = {target for call in calls for target in call.split() if "=" not in target}
    assert wanted <= called, "no less than what runs elsewhere"


def test_nothing_is_published_that_is_not_tested():
    jobs = workflow("release.yml")["jobs"]
    before, waiting = set[str](), ["publish"]
    while waiting:
        needs = jobs[waiting.pop()].get("needs", [])
        new = {needs} if isinstance(needs, str) else set(needs)
        waiting.extend(new - before)
        before |= new
    assert any(jobs[name].get("uses") == "./.github/workflows/tests.yml" for name in before)
    assert "build" in before
