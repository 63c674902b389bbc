"""Where methods stand beside the strongest control, with known answers."""

from typing import Any

import numpy as np
import pytest

from motionlift.bench.report.controls import Standings, failures, standings
from motionlift.bench.report.summary import sections
from tests.bench.made_records import record

NOISE = {"inversion": True, "beta": 0.5, "source_prompt": "a star", "steps": 20}
ERRORS = np.random.default_rng(0).normal(1, 0.3, 16)


def made(method: str, shift: float, settings: dict[str, Any] | None = None, **more: Any) -> list[dict[str, Any]]:
    """Errors of sixteen references, alike but for a shift and a little noise."""
    noise = np.random.default_rng(len(method)).normal(0, 0.01, 16)
    about = {"settings": settings or {}, **more}
    return [record(method, index, {"aligned_error": error + shift + noise[index]}, **about)
            for index, error in enumerate(ERRORS)]  # fmt: skip


def stand(*groups: list[dict[str, Any]]) -> Standings | None:
    (section,) = sections([each for group in groups for each in group])
    return standings(section)


def test_the_strongest_control_is_the_one_whose_mean_is_best():
    found = stand(made("none", 0.5), made("frozen", 0.2), made("injection", 0.4), made("smm", 0.3), made("vmc", -0.4))
    assert found is not None and (found.control, found.figure) == ("frozen", "aligned_error")
    assert found.control_mean.mean == pytest.approx(ERRORS.mean() + 0.2, abs=0.01)
    smm, vmc = found.lines
    assert (smm.title, smm.strongest.baseline, smm.strongest.verdict) == ("smm", "frozen", "worse")
    assert smm.strongest.difference.mean == pytest.approx(0.1, abs=0.02) and vmc.strongest.verdict == "better"
    assert smm.noise is None and not smm.looks


def test_a_control_of_few_references_is_not_the_strongest():
    lucky = made("inverted", -0.9, {"beta": 0.3})[:3]
    found = stand(made("none", 0.5), lucky, made("smm", 0.0))
    assert found is not None and found.control == "none"


def test_a_method_is_compared_with_the_noise_that_it_begins_with():
    """As much, inverted with the same prompt in as many steps; settings of the cast and tuned alike say it."""
    empty = {**NOISE, "source_prompt": ""}
    groups = [
        made("none", 0.5, all_settings={"inversion": False, "beta": 0.0}),
        made("none", 0.1, {"inversion": True}, all_settings=empty),
        made("inverted", 0.2, {"beta": 0.5}, all_settings=NOISE),
        made("inverted", 0.3, {"beta": 0.3}, all_settings={**NOISE, "beta": 0.3}),
        made("motionflow", 0.15, all_settings=NOISE),
        made("vmc", 0.15, all_settings={**NOISE, "inverted_with": "empty"}),
        made("smm", 0.15, all_settings={"inversion": False, "beta": 0.0}),
        made("motionmatcher", 0.15, all_settings={**NOISE, "beta": 0.7}),
    ]
    found = stand(*groups)
    assert found is not None and found.control == "none inversion=true"
    noises = {line.title: line.noise and line.noise.baseline for line in found.lines}
    assert noises == {
        "motionflow": "inverted beta=0.5", "vmc": "none inversion=true", "smm": None, "motionmatcher": None
    }  # fmt: skip


def test_what_did_not_work_is_said():
    leaking = [{**each, "figures": {**each["figures"], "looks_leaked": 1.0}} for each in made("flowmotion", -0.4)]
    clean = [{**each, "figures": {**each["figures"], "looks_leaked": 0.0}} for each in made("frozen", 0.2)]
    alone = made("inverted", 0.3, {"beta": 0.5}, all_settings=NOISE)
    noisy = made("motionflow", 0.31, all_settings=NOISE)
    unclear = made("ditflow", 0.2)
    for number, each in enumerate(unclear):
        each["figures"]["aligned_error"] += (-1) ** number * 0.3
    found = stand(clean, alone, leaking, noisy, unclear)
    assert found is not None
    worse, same, noise, looks = failures(found)
    assert worse.startswith("Worse than the strongest control, frozen (1.") and "motionflow (+0.1" in worse
    assert same.startswith("Not told apart from the strongest control") and "ditflow (" in same
    assert noise.startswith("No better in aligned error than the noise that it begins with, alone: motionflow (+0.0")
    assert noise.endswith("beside inverted beta=0.5.")
    assert looks == f"Worse than frozen in leakage: flowmotion (+100 points, p {1 / 20_001:.2g})."
    assert not list(failures(stand(made("none", 0.5), made("vmc", -0.4))))  # pyright: ignore[reportArgumentType]


def test_without_a_control_or_a_method_nothing_stands():
    assert stand(made("smm", 0.1)) is None and stand(made("none", 0.1)) is None
    assert stand([record("none", 0, {"spin": 1.0}), record("smm", 0, {"spin": 1.0})]) is None
    apart = [record("smm", index, {"aligned_error": 1.0}) for index in range(50, 60)]
    assert stand(made("none", 0.1), apart) is None, "they have no task in common"
