"""Wheel and source archive: whole, and installed into empty environments."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "motionlift"
NOT_PACKED = {"__pycache__", ".pyc"}
PYTHONS = ("3.11", "3.14", "3.13")
"""The oldest, and the newest of which those that are at hand are tried."""


def ran(*words: str | Path, **given: object) -> str:
    found = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=1800, **given)
    assert found.returncode == 0, found.stderr[-3000:]
    return found.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both, the wheel built from the archive."""
    folder = tmp_path_factory.mktemp("dist")
    ran(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    (wheel,), (archive,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return {"wheel": wheel, "archive": archive}


@pytest.mark.slow
def test_they_hold_the_whole_package(built: dict[str, Path]):
    expected = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and not {path.suffix, *path.parts} & NOT_PACKED
    }
    in_wheel = {name for name in zipfile.ZipFile(built["wheel"]).namelist() if name.startswith("motionlift/")}
    assert in_wheel == expected
    with tarfile.open(built["archive"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"src/{name}" for name in expected} <= names
    assert {"README.md", "LICENSE", "Makefile", "zensical.toml", "docs/index.md"} <= names


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "archive"])
def test_it_is_installed_alone(kind: str, built: dict[str, Path], tmp_path: Path):
    """Into an environment that takes the other libraries from this one."""
    python = tmp_path / "fresh" / ("Scripts" if os.name == "nt" else "bin") / "python"
    ran(sys.executable, "-m", "venv", "--without-pip", tmp_path / "fresh")
    pip = (sys.executable, "-m", "pip", "--quiet", "--python", python, "install")
    others = ran(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(others, "others.pth").write_text(sysconfig.get_path("purelib"))
    ran(*pip, "--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed", built[kind])
    bare = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    where = ran(python, "-c", "import motionlift; print(motionlift.__file__)", cwd=tmp_path, env=bare)
    assert Path(where.strip()).is_relative_to(tmp_path)
    assert "motionlift" in ran(python, "-m", "motionlift", "--version", cwd=tmp_path, env=bare)


@pytest.mark.network
@pytest.mark.skipif(find_spec("uv") is None, reason="uv is not installed")
@pytest.mark.parametrize("version", PYTHONS)
def test_it_is_installed_into_an_empty_environment(version: str, built: dict[str, Path], tmp_path: Path):
    """With all that it needs, from the package index: some gigabytes."""
    uv = (sys.executable, "-m", "uv")
    if subprocess.run([*uv, "python", "find", version], capture_output=True).returncode:
        pytest.skip(f"Python {version} is not at hand")
    python = tmp_path / "empty" / "bin" / "python"
    ran(*uv, "venv", "--quiet", "--python", version, tmp_path / "empty")
    for kind in ("wheel", "archive"):
        ran(*uv, "pip", "install", "--quiet", "--python", python, "--reinstall-package", "motionlift", built[kind])
        ran(python, "-m", "motionlift", "models", cwd=tmp_path)
    ran(*uv, "pip", "check", "--python", python)
