"""Options that are short for settings, and what is said where they are of no use."""

import pytest
import typer

from motionlift.cli.options import FITS, check_run, fit, given_settings, mixed_of, size_of, text
from motionlift.core.settings import read_values
from motionlift.errors import SettingError
from motionlift.methods import methods
from motionlift.video import limits


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pair": ["star=ring"]}, "--pair is of no use to smm; methods that take it: motionflow"),
        ({"subject": ["star"]}, "--subject is of no use to smm; methods that take it: motionflow"),
        ({"target": ["star"]}, "--target is of no use to smm; methods that take it: motionflow"),
        ({"read": "flow"}, "--read is of no use to smm; methods that take it: ditflow, flowmotion"),
        ({"reference": "soft"}, "--reference is of no use to smm; methods that take it: ditflow"),
        ({"strength": "1"}, "--strength is of no use to smm; methods that take it: motiondirector, motionmatcher, vmc"),
    ],
)
def test_an_option_that_a_method_has_no_use_for_is_named_as_it_was_typed(options: dict, words: str):
    with pytest.raises(SettingError, match=f"^{words}$"):
        given_settings("smm", None, **options)


@pytest.mark.parametrize("name", sorted(methods()))
def test_what_every_method_takes(name: str):
    given = given_settings(name, ["cfg=2"], steps="3", source_prompt="a star", negative_prompt="a dog", pair=None)
    assert given.values == {"cfg": "2", "steps": "3", "source_prompt": "a star", "negative_prompt": "a dog"}
    assert given.called["negative_prompt"] == "--negative-prompt" and given.called["cfg"] == "--set cfg"


def test_a_value_that_is_not_allowed_names_its_option_or_in_python_its_setting():
    for assigned, strength, words in ((None, "9", "^--strength is '9'"), (["cfg=x"], None, "^--set cfg is 'x'")):
        with pytest.raises(SettingError, match=words):
            given_settings("vmc", assigned, strength=strength)
    called = given_settings("vmc", ["cfg=2"], strength="1").called
    assert called == {"cfg": "--set cfg", "strength": "--strength"}
    with pytest.raises(SettingError, match=r"^strength is '9'"):
        read_values(methods()["vmc"].Settings, {"strength": "9"})


def test_runs_and_mixtures_are_of_what_tunes(tmp_path):
    for option, given in (("--run", (tmp_path, None)), ("--previews", (None, 1))):
        with pytest.raises(
            SettingError,
            match=f"^{option} is of no use to none; methods that take it: motiondirector, motionmatcher, vmc",
        ):
            check_run("none", *given)
    with pytest.raises(SettingError, match=r"^--mix is of no use to ditflow"):
        mixed_of("ditflow", ["a.safetensors"])
    with pytest.raises(SettingError, match=r"--previews 2 are kept in the folder of a run; name one by --run"):
        check_run("vmc", None, 2)
    for strength in ("nan", "-1", "1e999", "", "x"):
        with pytest.raises(
            SettingError, match=f"the strength of --mix a={strength} is '{strength}'; allowed is a number"
        ):
            mixed_of("vmc", [f"a={strength}"])
    assert [strength for _, strength in mixed_of("vmc", ["a", "b=0.5"])] == [1.0, 0.5]


def test_sizes_are_width_and_height():
    assert size_of(None) is None
    assert size_of("832x480") == size_of(" 832X480 ") == (832, 480)
    for given in ("832", "832x", "x480", "832x480x3", "-8x8", "8.5x8", "٣x٤", "9" * 9 + "x8", ""):
        with pytest.raises(SettingError, match="give WIDTHxHEIGHT in pixels, such as 832x480"):
            size_of(given)


def test_text_is_put_together_of_its_bytes():
    assert text("caf\udcc3\udca9") == text("café") == "café"


def test_ways_to_fit():
    assert FITS == limits.FITS and [fit(name) for name in FITS] == list(FITS)
    with pytest.raises(typer.BadParameter, match="'squeeze' came; allowed is crop, pad, stretch"):
        fit("squeeze")
