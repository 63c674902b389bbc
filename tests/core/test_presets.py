"""Presets: published constants over our own, each with its source."""

import pytest

from motionlift.core.presets import Preset, check_published, said
from motionlift.errors import SettingError

PRESET = Preset(
    said("paper", lr=0.1, share=0.2),
    {"family": said("paper, table 1", block=(3,)), "variant": said("card", block=(5,), cfg=7.0)},
)


def values(family: str, variant: str) -> dict[str, object]:
    return {name: own.value for name, own in PRESET.of(family, variant).items()}


def test_what_is_of_a_variant_comes_before_its_family_and_that_before_every_model():
    everywhere = {"lr": 0.1, "share": 0.2}
    assert values("other", "other") == everywhere
    assert values("family", "other") == {**everywhere, "block": (3,)}
    assert values("family", "variant") == {**everywhere, "block": (5,), "cfg": 7.0}
    assert PRESET.of("family", "variant")["block"].source == "card"


def test_what_is_published_of_other_models_only_is_named():
    assert PRESET.unpublished("other", "other") == ("block", "cfg")
    assert PRESET.unpublished("family", "other") == ("cfg",)
    assert PRESET.unpublished("family", "variant") == ()


def test_a_preset_that_is_not_there_is_refused_with_those_that_are():
    check_published("ours", "some", {})
    check_published("paper", "some", {"paper": PRESET})
    with pytest.raises(SettingError, match=r"'released', but of some no released .* read; allowed is ours or paper$"):
        check_published("released", "some", {"paper": PRESET})
    with pytest.raises(SettingError, match=r"no paper gives its constants; allowed is ours$"):
        check_published("paper", "some", {})
