"""What a launcher says in the environment, and what it cannot have said."""

import os
import subprocess
import sys

import pytest

from motionlift.environment import FALLBACK, Launched, fallback_line, launched, let_fall_back
from motionlift.errors import MotionliftError, SettingError

NAMES = ("RANK", "LOCAL_RANK", "WORLD_SIZE")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch):
    def say(values: dict[str, str]) -> None:
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return say


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, Launched(0, 0, 1)),
        ({"RANK": "", "WORLD_SIZE": " "}, Launched(0, 0, 1)),
        ({"RANK": "0"}, Launched(0, 0, 1)),
        ({"WORLD_SIZE": "1"}, Launched(0, 0, 1)),
        ({"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}, Launched(3, 1, 4)),
    ],
)
def test_what_a_launcher_says(environment, values: dict[str, str], found: Launched):
    environment(values)
    assert launched() == found


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"WORLD_SIZE": "abc"}, "WORLD_SIZE is 'abc' in the environment; allowed is a whole number from 1"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0'"),
        ({"WORLD_SIZE": "9" * 5000}, "WORLD_SIZE is '9999"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "RANK is '-1'"),
        ({"RANK": "٣", "WORLD_SIZE": "4"}, "RANK is '٣'"),
        ({"LOCAL_RANK": "0x1"}, "LOCAL_RANK is '0x1'"),
        ({"RANK": "1"}, "RANK is 1, .* but WORLD_SIZE is not set: start several processes by accelerate launch"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but RANK is not set"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK is 2, but WORLD_SIZE is 2"),
    ],
)
def test_what_cannot_be(environment, values: dict[str, str], words: str):
    environment(values)
    with pytest.raises(SettingError, match=words):
        launched()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "named", "found"),
    [("", "Step", "1"), ("0", "Step", "0"), ("", "InputError", "1")],
)
def test_what_an_apple_gpu_lacks_may_run_on_the_cpu_from_python_too(before: str, named: str, found: str):
    """It is said before PyTorch is imported, and never over a word of the user's."""
    environment = {name: value for name, value in os.environ.items() if name != FALLBACK}
    environment |= {FALLBACK: before} if before else {}
    program = f"import os, motionlift; motionlift.{named}; print(os.environ[{FALLBACK!r}])"
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == f"{found}\n"


def test_once_pytorch_is_there_nothing_is_changed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch", sys)
    monkeypatch.delenv(FALLBACK, raising=False)
    let_fall_back()
    assert FALLBACK not in os.environ
    assert f"set {FALLBACK}=1 before PyTorch is imported" in fallback_line()
    monkeypatch.setenv(FALLBACK, "1")
    assert "run on the CPU" in fallback_line()


def test_a_model_on_an_apple_gpu_tells_the_log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    from motionlift.models import loading

    monkeypatch.setattr(loading, "device_named", lambda name: loading.torch.device("mps"))
    with caplog.at_level("INFO", logger="motionlift"), pytest.raises(MotionliftError):
        loading.load("no/such", "mps")
    assert caplog.messages[0] == f"note: {fallback_line()}"
