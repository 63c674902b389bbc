"""Where methods stand beside the strongest control, with known answers."""

from typing import Any

import numpy as np
import pytest

from motionlift.bench.report.controls import TAUGHT, Standings, failures, standings
from motionlift.bench.report.summary import sections
from motionlift.models.sources import BUNDLED_MODELS
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


@pytest.mark.slow
def test_a_method_is_compared_with_the_noise_that_it_begins_with():
    """As much, inverted by the same network with the same prompt in as many steps, and sampled alike."""
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
        made("ditflow", 0.15, all_settings={**NOISE, "sampler": "ddpm"}),
        made("motiondirector", 0.15, all_settings={**NOISE, "inverted_by": "tuned"}),
    ]
    found = stand(*groups)
    assert found is not None and found.control == "none inversion=true"
    noises = {line.title: line.noise and line.noise.baseline for line in found.lines}
    assert noises == {
        "motionflow": "inverted beta=0.5", "vmc": "none inversion=true", "smm": None, "motionmatcher": None,
        "ditflow": None, "motiondirector": None,
    }  # fmt: skip


def test_what_was_tuned_alone_is_compared_with_plain_sampling():
    fresh = made("vmc", 0.15, {"beta": 0.0}, all_settings={**NOISE, "beta": 0.0})
    found = stand(made("none", 0.5), made("frozen", 0.2), fresh)
    assert found is not None and found.control == "frozen"
    assert found.lines[0].noise is not None and found.lines[0].noise.baseline == "none"
    assert found.lines[0].noise.difference.mean == pytest.approx(-0.35, abs=0.02)
    found = stand(made("frozen", 0.2), fresh)
    assert found is not None and found.lines[0].noise is None


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


def with_figure(records: list[dict[str, Any]], name: str, shift: float) -> list[dict[str, Any]]:
    """Records with one figure more, alike but for a shift and a little noise."""
    noise = np.random.default_rng(3).normal(0, 0.01, len(records))
    return [{**each, "figures": {**each["figures"], name: 0.5 + shift + own}}
            for each, own in zip(records, noise, strict=True)]  # fmt: skip


def test_other_figures_of_motion_are_told_too():
    """What is better by one figure and worse by another did not work by the other."""
    still = with_figure(with_figure(made("frozen", 0.2), "motion_fidelity", 0.3), "motion_discrepancy", 0.0)
    smm = with_figure(with_figure(made("smm", -0.3), "motion_fidelity", 0.2), "motion_discrepancy", -0.2)
    found = stand(still, smm)
    assert found is not None and found.lines[0].strongest.verdict == "better"
    assert {pair.figure: pair.verdict for pair in found.lines[0].others} == {
        "motion_fidelity": "worse", "motion_discrepancy": "better"
    }  # fmt: skip
    (told,) = failures(found)
    assert told.startswith("Worse than frozen in motion fidelity: smm (-0.1")


def test_structure_that_leaks_is_told_of_methods_and_of_the_strongest_control():
    plain, noise = with_figure(made("none", 0.5), "ssim", 0.0), with_figure(made("inverted", 0.1), "ssim", 0.2)
    found = stand(plain, noise, with_figure(made("vmc", -0.4), "ssim", 0.3))
    assert found is not None and found.control == "inverted"
    leaking, control = failures(found)
    assert leaking.startswith("Worse than inverted in SSIM with reference: vmc (+0.1")
    assert control.startswith("The strongest control is itself worse than none in SSIM with reference: inverted (+0.2")


@pytest.mark.parametrize("model", ["tiny-dit", "tiny-unet", "tiny-dit + star.safetensors:0.8"])
def test_what_a_model_was_taught_is_told_beside_verdicts(model: str):
    found = stand(made("frozen", 0.2, model=model), made("ditflow", -0.4, model=model))
    assert found is not None and found.taught == next(failures(found)) == TAUGHT[model.split(" ")[0]]
    assert "DiTFlow takes for granted" in found.taught or "DiTFlow and MotionFlow take for granted" in found.taught
    other = stand(made("frozen", 0.2), made("ditflow", -0.4))
    assert other is not None and not other.taught and not list(failures(other))


def test_every_bundled_model_says_what_it_was_taught():
    assert set(BUNDLED_MODELS) <= TAUGHT.keys()


def test_without_a_control_or_a_method_nothing_stands():
    assert stand(made("smm", 0.1)) is None and stand(made("none", 0.1)) is None
    assert stand([record("none", 0, {"spin": 1.0}), record("smm", 0, {"spin": 1.0})]) is None
    apart = [record("smm", index, {"aligned_error": 1.0}) for index in range(50, 60)]
    assert stand(made("none", 0.1), apart) is None, "they have no task in common"
