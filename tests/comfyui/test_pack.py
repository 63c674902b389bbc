"""What the registry of nodes reads of the pack, and what its page says."""

import re
import tomllib
from pathlib import Path

from motionlift import __version__
from tests.comfyui.conftest import PACK, Comfy

ROOT = PACK.parent


def read(path: Path) -> dict:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def test_the_registry_finds_what_it_wants():
    """Rules of docs.comfy.org/registry/specifications."""
    told = read(PACK / "pyproject.toml")
    project, comfy = told["project"], told["tool"]["comfy"]
    assert re.fullmatch(r"[a-z](?!.*[-_.]{2})[a-z0-9._-]{0,98}", project["name"]) and "comfyui" not in project["name"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
    assert project["description"] and project["license"] == {"text": "Apache-2.0"}
    assert comfy["PublisherId"] and comfy["DisplayName"]
    assert re.fullmatch(r">=\d+\.\d+\.\d+", comfy["requires-comfyui"])


def test_its_version_is_that_of_the_library():
    project, library = read(PACK / "pyproject.toml")["project"], read(ROOT / "pyproject.toml")["project"]
    assert project["version"] == library["version"] == __version__
    assert project["dependencies"] == [f"motionlift=={__version__}"]
    assert (PACK / "requirements.txt").read_text(encoding="utf-8").split() == project["dependencies"]
    assert project["requires-python"] == library["requires-python"]


def test_it_is_no_part_of_the_wheel():
    assert read(ROOT / "pyproject.toml")["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["src/motionlift"]


def test_the_page_names_every_node_and_links_to_what_is_there(comfy: Comfy):
    page = (PACK / "README.md").read_text(encoding="utf-8")
    titles = [title for title in comfy.pack.NODE_DISPLAY_NAME_MAPPINGS.values() if not title.startswith("Settings of ")]
    assert sorted(re.findall(r"^\| \*\*(.+?)\*\*", page, re.MULTILINE)) == sorted([*titles, "Settings of ..."])
    for link in re.findall(r"\]\(([^)#]+)\)", page):
        assert (PACK / link).is_file(), link
