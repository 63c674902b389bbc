"""The Space and the container fit the package. Both are read here, not built: that needs a network and Docker."""

import json
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from motionlift.cli.app import app as program

ROOT = Path(__file__).parents[1]
PACKAGE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instructions(word: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.removeprefix(word).strip() for line in joined.splitlines() if line.startswith(f"{word} ")]


def front_matter() -> dict[str, str]:
    return yaml.safe_load((ROOT / "space" / "README.md").read_text().split("---")[1])


def understood(words: list[str]) -> dict[str, object]:
    """Options as the command line reads them."""
    assert words[:2] == ["motionlift", "app"]
    command = typer.main.get_command(program)
    page = command.commands["app"]  # pyright: ignore[reportAttributeAccessIssue]
    return page.make_context("app", words[2:]).params


def test_the_space_is_of_the_versions_that_are_tested():
    told = front_matter()
    assert f"gradio=={told['sdk_version']}" in (ROOT / "constraints.txt").read_text().splitlines()
    assert told["python_version"] in SpecifierSet(PACKAGE["requires-python"])
    assert told["sdk"] == "gradio" and (ROOT / "space" / told["app_file"]).is_file()
    assert len(told["short_description"]) <= 60  # as the hub has it


def test_the_space_wants_this_package_with_the_page():
    wanted = Requirement((ROOT / "space" / "requirements.txt").read_text().strip())
    assert wanted.name == PACKAGE["name"] and PACKAGE["version"] in wanted.specifier
    assert wanted.extras <= PACKAGE["optional-dependencies"].keys()


def test_the_container_copies_what_is_there_and_installs_what_the_package_offers():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for place in [word for line in instructions("COPY") for word in line.split()[:-1]]:
        assert (ROOT / place).exists() and f"!{place}" in ignored
    readme, licences = PACKAGE["readme"], PACKAGE["license-files"]
    assert {f"!{each}" for each in (readme, *licences, "pyproject.toml", "src")} <= set(ignored)
    extras = re.findall(r'"\.\[(\w+)\]"', DOCKERFILE)
    assert extras == ["app"] and "app" in PACKAGE["optional-dependencies"]
    (image,) = instructions("FROM")
    assert re.fullmatch(r"python:(3\.\d+)-slim", image)[1] in SpecifierSet(PACKAGE["requires-python"])  # pyright: ignore[reportOptionalSubscript]


@pytest.mark.parametrize(("device", "index"), [("cpu", "whl/cpu"), ("cuda", "pypi.org")])
def test_the_device_says_where_pytorch_comes_from(tmp_path: Path, device: str, index: str):
    chosen = run_choice(tmp_path, device)
    assert chosen.returncode == 0 and index in (tmp_path / "index").read_text()


def test_another_device_is_refused(tmp_path: Path):
    chosen = run_choice(tmp_path, "tpu")
    assert chosen.returncode == 1 and "allowed are cpu and cuda" in chosen.stderr


def run_choice(folder: Path, device: str) -> subprocess.CompletedProcess[str]:
    choice = instructions("RUN")[0].replace("/torch-index", str(folder / "index"))
    return subprocess.run(
        ["sh", "-c", choice], env={"DEVICE": device, "PATH": "/bin:/usr/bin"}, capture_output=True, text=True
    )


def test_the_container_runs_the_page_as_nobody_special():
    options = understood(json.loads(instructions("CMD")[0]))
    assert options["host"] == "0.0.0.0" and str(options["port"]) == instructions("EXPOSE")[0]
    assert str(options["data"]) == instructions("VOLUME")[0]
    assert instructions("USER")[-1] == "motionlift"


def test_the_space_runs_the_page(monkeypatch: pytest.MonkeyPatch):
    given = runpy.run_path(str(ROOT / "space" / "app.py"))["words"]()
    assert understood(given)["host"] == "0.0.0.0"


def test_neither_lets_anybody_in_without_a_password(tmp_path: Path):
    words = json.loads(instructions("CMD")[0])[1:]
    environment = {name: value for name, value in os.environ.items() if name != "MOTIONLIFT_PASSWORD"}
    words = [sys.executable, "-m", "motionlift", *words]
    ran = subprocess.run(words, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 1 and "--password" in ran.stderr
