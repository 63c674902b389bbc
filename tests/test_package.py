"""Importing the package costs nothing, and its names are what they say."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

import motionlift
from motionlift import errors

ROOT = Path(__file__).parents[1]


def test_import_loads_nothing_heavy():
    heavy = ("torch", "numpy", "diffusers", "transformers", "av", "cv2", "typer", "rich")
    program = f"import sys, motionlift; sys.exit(' '.join(name for name in {heavy} if name in sys.modules) or 0)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert (found.returncode, found.stderr) == (0, "")


PUBLIC = [name for name in motionlift.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names(name: str):
    found = getattr(motionlift, name)
    assert found.__name__ == name
    assert found.__module__.startswith("motionlift.")
    assert found.__doc__


def test_every_error_is_public():
    own = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, BaseException)}
    assert len(own) > 7 and own <= {*PUBLIC}


def test_what_type_checkers_see_is_what_there_is():
    """The names stand in the module three times: for type checkers, in ``__all__``, and with their homes."""
    tree = ast.parse((ROOT / "src" / "motionlift" / "__init__.py").read_text(encoding="utf-8"))
    nodes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("motionlift.")
    ]
    seen = {name.name: node.module for node in nodes for name in node.names}
    assert seen == {name: f"motionlift.{home}" for name, home in motionlift._HOMES.items()}
    assert motionlift._HOMES.keys() == {*PUBLIC}


def test_version_and_names_are_told():
    assert motionlift.__version__ == version("motionlift")
    assert dir(motionlift) == sorted(motionlift.__all__)
    assert (ROOT / "src" / "motionlift" / "py.typed").is_file()


def test_errors_cost_nothing():
    """So that a program may name them before it does anything."""
    program = "import sys, motionlift; motionlift.InputError, motionlift.Stopped; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=300).returncode == 0


def test_transfer_is_the_function():
    """A module of that name would hide it."""
    from motionlift import transfer
    from motionlift.work import cast

    assert transfer is cast.transfer is motionlift.transfer


def test_unknown_names():
    with pytest.raises(AttributeError, match="'motionlift' has no attribute 'fly'"):
        _ = motionlift.fly
    with pytest.raises(ImportError):
        from motionlift import fly  # noqa: F401 # pyright: ignore


def test_score_is_the_function():
    """A module of that name would hide it."""
    from motionlift import score
    from motionlift.measure import score as scoring

    assert score is scoring.score is motionlift.score


def _imported() -> set[str]:
    """The libraries that the package imports, by the names of their modules."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "src").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in names} - {"motionlift", *sys.stdlib_module_names}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.slow
def test_what_is_imported_is_named_as_a_dependency():
    """Not left to come along with another library; and each has its tested version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    named = {_normal(re.split(r"[<>=\[]", line)[0]) for line in lines}
    tested = {
        _normal(line.split("==")[0]) for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    }
    distributions = packages_distributions()
    wanted = {name: {_normal(own) for own in distributions.get(name, [name])} for name in _imported()}
    assert len(wanted) > 15
    assert {name for name, own in wanted.items() if not own & named} == set()
    assert {name for name, own in wanted.items() if name in distributions and not own & tested} == set()


def test_bundled_weights_stay_small():
    """All that comes with the package, together: what a wheel of it has to carry."""
    weights = ROOT / "src" / "motionlift" / "world" / "weights"
    assert sum(path.stat().st_size for path in weights.rglob("*") if path.is_file()) < 45_000_000
