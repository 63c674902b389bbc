"""Controls are the same everywhere, and the strongest of them is found."""

from collections.abc import Mapping
from typing import Any

import pytest

from lab.experiments.controls import CONTROLS, controls_at, share_of, strongest
from motionlift.bench.run_file import read_run


def begins(method: str, settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a control is: of noise alone its share and the prompt of the inversion, by whichever of two names it goes."""
    if method == "inverted":
        return "noise", settings.get("inverted_with", "source"), settings.get("beta", 1.0)
    if settings.get("inversion"):
        return "noise", "empty", settings["beta"]
    return method, *settings.items()


@pytest.mark.parametrize("name", ["world", "kinds", "papers"])
def test_runs_have_every_control(name: str):
    found = {begins(each.name, each.settings) for each in read_run(name).methods if each.name in CONTROL_METHODS}
    assert found == {begins(**kind) for kind in CONTROLS.values()}


CONTROL_METHODS = {kind["method"] for kind in CONTROLS.values()}


def test_shares_of_the_noise():
    assert [share_of(kind) for kind in CONTROLS.values()] == [0, 0, 0, 1, 1, 0.5, 0.5, 0.3, 0.3]
    assert share_of({"method": "motionmatcher", "settings": {}}) == 0.3
    assert [*controls_at(())] == [*CONTROLS][:5] and [*controls_at((0.3,))] == [*[*CONTROLS][:5], *[*CONTROLS][7:]]


def test_the_strongest_control_is_of_those_with_most_references():
    groups = {"a": [0.2, 0.3], "b": [0.3, 0.1], "c": [0.0], "d": [None, 0.0], "e": []}
    records = {title: [{"aligned": value} for value in values] for title, values in groups.items()}
    assert strongest(records) == "b" and strongest(records, "other") is None and strongest({}) is None
