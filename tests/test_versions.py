"""The versions that the package can be installed with: told as they are, and to be had beside other programs."""

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BESIDE = ROOT / "tests" / "installs" / "comfyui.txt"
PLATFORMS = ("x86_64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-pc-windows-msvc")


def allowed() -> dict[str, tuple[str, str]]:
    """What each library may be: from and below."""
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    found = [re.fullmatch(r"([\w-]+)>=([\d.]+),<([\d.]+)", line) for line in lines]
    return {each[1]: (each[2], each[3]) for each in found if each is not None}


def test_the_page_of_versions_says_what_is_allowed():
    page = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| ([\w-]+) \| ([\d.]+) \| ([\d.]+) \| .{10}", page, re.MULTILINE)
    assert len(allowed()) > 20
    assert {name: (first, end) for name, first, end in told} == allowed()


def test_the_tested_versions_are_allowed():
    pinned = re.findall(r"^([\w.-]+)==([\d.]+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    tested = {name.lower().replace("-", "_"): version for name, version in pinned}
    for name, bounds in allowed().items():
        first, version, end = (_parts(each) for each in (bounds[0], tested[name.lower().replace("-", "_")], bounds[1]))
        assert first <= version < end, name


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@pytest.mark.network
@pytest.mark.skipif(find_spec("uv") is None, reason="uv is not installed")
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_it_is_installed_beside_comfyui(python: str, platform: str):
    """All that both ask for can be had together: the versions are found, and nothing is installed."""
    arguments = ("--python-version", python, "--python-platform", platform, "--quiet", "--no-header")
    told = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "compile", str(ROOT / "pyproject.toml"), str(BESIDE), *arguments],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert {"diffusers", "comfyui-frontend-package"} <= {line.split("==")[0] for line in told.stdout.splitlines()}
