"""Importing the package costs nothing, and its names are what they say."""

import subprocess
import sys

import pytest

import motionlift


def test_import_loads_nothing_heavy():
    heavy = ("torch", "numpy", "diffusers", "transformers", "av", "cv2", "typer", "rich")
    program = f"import sys, motionlift; sys.exit(' '.join(name for name in {heavy} if name in sys.modules) or 0)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("name", motionlift.__all__)
def test_public_names(name: str):
    found = getattr(motionlift, name)
    assert found.__name__ == name
    assert found.__module__.startswith("motionlift.")
    assert found.__doc__


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
