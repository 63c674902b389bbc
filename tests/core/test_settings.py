"""Settings from outside are read as their type, or refused by name."""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest
import torch

from motionlift.core.method_settings import Guided
from motionlift.core.settings import assignments, described, setting, unsaid, with_values
from motionlift.errors import SettingError
from motionlift.methods import methods


@dataclass(frozen=True)
class Example:
    count: int = setting(3, low=1, high=10)
    any_count: int = setting(0)
    rate: float = setting(0.5, low=0, high=1)
    any_rate: float = setting(0.0)
    kind: str = setting("one", choices=("one", "two"))
    on: bool = setting(True)
    places: tuple[int, ...] = setting((4,), low=0)


def value_of(name: str, given: Any) -> Any:
    return getattr(with_values(Example(), {name: given}), name)


def refusal(name: str, given: Any) -> str:
    with pytest.raises(SettingError) as caught:
        with_values(Example(), {name: given})
    message = str(caught.value)
    assert message.startswith(f"{name} is ") and "; allowed is " in message
    assert message.isprintable() and len(message) < 250
    return message


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("count", 1, 1),
        ("count", 10, 10),
        ("count", "7", 7),
        ("count", " 7 ", 7),
        ("count", 7.0, 7),
        ("count", np.int64(7), 7),
        ("any_count", -5, -5),
        ("any_count", "1" + "0" * 400, 10**400),
        ("rate", 0, 0.0),
        ("rate", 1, 1.0),
        ("rate", "0.25", 0.25),
        ("rate", "1e-3", 0.001),
        ("rate", np.float32(0.1), float(np.float32(0.1))),
        ("any_rate", "-2.5e30", -2.5e30),
        ("kind", "two", "two"),
        ("places", 7, (7,)),
        ("places", "7", (7,)),
        ("places", "20, 15,10", (20, 15, 10)),
        ("places", [1, 2], (1, 2)),
        ("places", (1, "2"), (1, 2)),
        *[("on", word, True) for word in (True, "true", "True", "YES", "1", 1)],
        *[("on", word, False) for word in (False, "false", "no", "0", 0)],
    ],
)
def test_values_that_are_taken(name: str, given: Any, expected: Any):
    got = value_of(name, given)
    assert got == expected and type(got) is type(expected)


NOT_NUMBERS = (None, "", "two", True, False, [], {}, "nan", math.nan, math.inf, "-inf", object(), "\x1b[31m")


@pytest.mark.parametrize(
    ("name", "given"),
    [
        *[(name, given) for name in ("count", "any_count", "rate", "any_rate") for given in NOT_NUMBERS],
        *[
            ("count", given)
            for given in (0, 11, -1, "0", "11", 2.5, "2.5", np.float32(2.5), torch.tensor(2.5), 10**400)
        ],
        *[("count", given) for given in ("9" * 400, "9" * 5000, 1e300, "7 8", "0x7", 1j)],
        *[("rate", given) for given in (-0.001, 1.001, "1.001", 10**400, "0,5", "1e400")],
        ("any_rate", 10**400),
        *[("kind", given) for given in ("three", "One", "", None, 1, True, ["one"])],
        *[("on", given) for given in ("maybe", "", None, 2, "on ", [True])],
        *[("places", given) for given in ("", ",", "4,", "a", "4;5", -1, "4,-1", 1.5, [1.5], [True], [None], [[1]])],
        *[("places", given) for given in ((), [], None, True, {4}, math.nan, [math.inf], np.zeros((30, 30)))],
    ],
)
def test_values_that_are_refused(name: str, given: Any):
    refusal(name, given)


def test_numbers_that_python_does_not_write_are_refused_in_words():
    assert refusal("count", 10**5000).startswith("count is a number of thousands of digits; allowed is a whole number")
    assert "number of thousands of digits" in refusal("places", [-(10**5000)])


def test_refusals_say_what_is_allowed():
    assert "a whole number from 1 to 10" in refusal("count", "many")
    assert refusal("count", "many").startswith("count is 'many'")
    assert "a number from 0 to 1" in refusal("rate", 2)
    assert "one or two" in refusal("kind", "three")
    assert "true or false" in refusal("on", "maybe")
    assert "whole numbers with commas between from 0" in refusal("places", "a")


def test_unknown_names():
    with pytest.raises(
        SettingError,
        match=r"unknown setting 'rat' \(did you mean rate\?\); allowed are count, any_count, rate, any_rate, kind",
    ):
        with_values(Example(), {"rate": 0.1, "rat": 0.1})


def test_the_rest_stays():
    before = Example(count=5, on=False)
    after = with_values(before, {"rate": "0.75"})
    assert after == Example(count=5, on=False, rate=0.75)
    assert before == Example(count=5, on=False)
    assert with_values(before, {}) == before


def test_descriptions_name_every_setting():
    assert {name: words.allowed for name, words in described(Example).items()} == {
        "count": "a whole number from 1 to 10",
        "any_count": "a whole number",
        "rate": "a number from 0 to 1",
        "any_rate": "a number",
        "kind": "one or two",
        "on": "true or false",
        "places": "whole numbers with commas between from 0",
    }


@dataclass(frozen=True)
class Spoken:
    speed: float = setting(1.0, help="How fast it is said.")
    loud: bool = setting(False, help="Say it loudly.")
    last: bool = setting(False)


@dataclass(frozen=True)
class Whispered(Spoken):
    speed: float = setting(0.5, low=0)
    loud: bool = setting(False, help="Say it aloud.")


def test_descriptions_say_what_a_setting_does_once_for_all_that_change_it():
    told = {name: words.help for name, words in described(Whispered).items()}
    assert told == {"speed": "How fast it is said.", "loud": "Say it aloud.", "last": ""}
    assert described(Whispered)["speed"].allowed == "a number from 0"


@pytest.mark.parametrize("settings", [Guided, *[method.Settings for method in methods().values()]])
def test_defaults_of_every_method_are_allowed(settings: type[Guided]):
    """Also when they come back as the text that a person or a record writes."""
    default = settings()
    values = {field.name: getattr(default, field.name) for field in fields(default)}
    assert with_values(default, values) == default
    texts = {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value) for name, value in values.items()
    }
    assert with_values(default, texts) == default
    assert described(settings).keys() == values.keys()


def test_assignments():
    assert assignments([]) == {}
    assert assignments(["lr=0.01", " block = 20,15 ", "note=a=b", "empty="]) == {
        "lr": "0.01",
        "block": "20,15",
        "note": "a=b",
        "empty": "",
    }


@pytest.mark.parametrize("pair", ["lr", "", "=0.01", " = 0.01", "="])
def test_assignments_without_a_name_or_a_value(pair: str):
    with pytest.raises(SettingError, match="write name=value"):
        assignments(["steps=3", pair])


def test_assignments_given_twice():
    with pytest.raises(SettingError, match="'lr' is given twice"):
        assignments(["lr=1", "steps=3", "lr =2"])


def test_every_setting_says_what_it_does():
    from motionlift.methods import methods

    for method in methods().values():
        lacking = [name for name, about in described(method.Settings).items() if not about.help.endswith(".")]
        assert not lacking, f"{method.name}: {lacking}"


def test_a_motion_means_what_was_done_before_settings_that_it_does_not_say():
    @dataclass(frozen=True)
    class Newer(Example):
        way: str = setting("new", choices=("new", "old"), before="old")

    assert unsaid(Newer, {"count": 3}) == {"way": "old"}
    assert unsaid(Newer, {"count": 3, "way": "new"}) == unsaid(Newer, {}) == unsaid(Example, {"count": 3}) == {}


def test_half_a_character_is_no_text():
    """JSON may hold one, and no tokenizer takes it."""
    for name in ("negative_prompt", "source_prompt"):
        with pytest.raises(SettingError, match=rf"{name} is .*ud800.*; allowed is text"):
            with_values(Guided(), {name: "a \ud800 star"})
