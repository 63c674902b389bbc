"""What a launcher says in the environment, and what it cannot have said."""

import pytest

from motionlift.environment import Launched, launched
from motionlift.errors import SettingError

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
