"""The hash of the code changes with the code that runs, and with nothing else."""

import re
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from importlib.resources import files

import pytest

from motionlift.methods import methods
from motionlift.models.families import families
from motionlift.work import code

Edited = Callable[..., str]


@pytest.fixture
def edited(monkeypatch: pytest.MonkeyPatch) -> Edited:
    """The hash as it would be with a line more in one file."""

    def after(path: str, method: str = "vmc", family: str = "cogvideox") -> str:
        real = code._source
        assert real(path), "there is such a file"
        with monkeypatch.context() as patched:
            patched.setattr(code, "_source", lambda own: real(own) + (b"\nMORE = 1\n" if own == path else b""))
            return code.code_of.__wrapped__(method, family)

    return after


@pytest.mark.parametrize(
    "path",
    [
        "methods/vmc.py",
        "methods/captions.py",  # which vmc imports
        "signals/residuals.py",
        "loops/sample.py",
        "loops/tune.py",
        "core/lattice.py",
        "models/probe.py",
        "video/clock.py",
        "video/reading.py",
        "models/schedules.py",
        "models/families/cogvideox.py",
    ],
)
def test_a_change_of_what_runs_is_another_code(edited: Edited, path: str):
    assert edited(path) != code.code_of("vmc", "cogvideox")


@pytest.mark.parametrize(
    "path", ["methods/ditflow.py", "models/families/unet3d.py", "cli/main.py", "video/sheets.py", "work/code.py"]
)
def test_a_change_of_what_does_not_run_is_the_same_code(edited: Edited, path: str):
    assert edited(path) == code.code_of("vmc", "cogvideox")


@pytest.mark.slow
@pytest.mark.parametrize("words", [b"# a comment\n", b"\n\n", b'"""Words that stand alone."""\n'])
def test_what_is_said_about_code_is_not_code(words: bytes, monkeypatch: pytest.MonkeyPatch):
    real, expected = code._source, code.code_of("vmc", "cogvideox")
    monkeypatch.setattr(code, "_source", lambda own: real(own) + words)
    assert code.code_of.__wrapped__("vmc", "cogvideox") == expected


def test_what_only_another_method_imports_does_not_count(edited: Edited):
    assert edited("methods/captions.py", "ditflow") == code.code_of("ditflow", "cogvideox")


@pytest.mark.slow
def test_methods_and_families_differ():
    assert len({code.code_of(method, family) for method in methods() for family in families()}) == len(methods()) * len(
        families()
    )
    assert re.fullmatch("[0-9a-f]{16}", code.code_of("vmc", "unet3d"))


def test_another_pytorch_is_another_code(monkeypatch: pytest.MonkeyPatch):
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "99.0" if name == "torch" else real(name))
    assert code.code_of.__wrapped__("vmc", "cogvideox") != code.code_of("vmc", "cogvideox")


def test_every_method_and_family_is_found_by_its_file():
    """Else its own code would not count."""
    for folder, names in ((code.METHODS, methods()), (code.FAMILIES, families())):
        assert {name for name in names if not files("motionlift").joinpath(f"{folder}/{name}.py").is_file()} == set()


def test_a_family_from_outside_counts_with_what_is_shared(edited: Edited):
    assert code.code_of("vmc", "elsewhere") != code.code_of("vmc", "cogvideox")
    assert edited("core/lattice.py", family="elsewhere") != code.code_of("vmc", "elsewhere")


@pytest.mark.slow
def test_another_process_tells_the_same():
    told = "from motionlift.work.code import code_of; print(code_of('vmc', 'cogvideox'))"
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == code.code_of("vmc", "cogvideox")
