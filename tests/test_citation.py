"""``CITATION.cff`` says what the package says, by the rules of its format (Citation File Format 1.2.0)."""

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
REQUIRED = {"cff-version", "message", "title", "authors"}
"""Keys that the schema of 1.2.0 requires."""
ALLOWED = REQUIRED | {"type", "abstract", "version", "license", "keywords", "url", "doi", "date-released"}
"""They and those of the schema that are of use here."""


def test_it_is_valid_and_says_what_the_package_says():
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert told.keys() >= REQUIRED and told.keys() <= ALLOWED
    assert told["cff-version"] == "1.2.0" and told["type"] == "software"
    assert all(set(author) == {"name"} and author["name"] for author in told["authors"]), "an entity has a name"
    assert len(set(told["keywords"])) == len(told["keywords"])
    assert (told["title"], told["version"], told["license"]) == (
        project["name"],
        project["version"],
        project["license"],
    )
    assert told["abstract"] == project["description"] and told["keywords"] == project["keywords"]
