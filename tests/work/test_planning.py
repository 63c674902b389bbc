"""Plans: the least measures that fit, refusals that say what would, and failed allocations that make the next plan larger."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionlift.core.cost import Passes
from motionlift.core.lattice import Shape
from motionlift.core.memory import Measures, Weights
from motionlift.errors import MemoryShortError
from motionlift.models.loading import load
from motionlift.models.shared import PipelineModel
from motionlift.work import measured, planning
from motionlift.work.memory import Room
from motionlift.work.plan import Phase, Plan, is_shortage
from motionlift.work.planning import Asked, fitting_job, planned, resident
from motionlift.work.prepare import ask
from motionlift.work.record import Costs
from tests.twins import cogvideox

ASKED = Asked(ask("ditflow", {"steps": 2, "inner": 1, "share": 0.5}, prompt="a red star"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))


def gpu(size: float) -> Room:
    return Room("cuda", "a card", round(size), asked=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model's configurations, without weights."""
    path = tmp_path_factory.mktemp("models") / "twin"
    cogvideox().save_pretrained(path)
    for file in path.rglob("*.safetensors"):
        file.unlink()
    return str(path)


def test_measures_are_taken_one_after_the_other_until_all_fits(folder: str):
    plenty = planned(ASKED, folder, gpu(1e12))
    assert plenty.measures == Measures() and not plenty.short and plenty.notices == ()
    assert [phase.name for phase in plenty.phases] == ["text", "encode", "lift", "guide", "sample", "decode"]
    less = planned(ASKED, folder, gpu(plenty.need(plenty.largest) - plenty.largest.weights / 8))
    assert less.measures != Measures() and not less.short and less.notices[0].startswith("to fit ")
    assert all(less.need(phase) <= less.room.bytes for phase in less.phases)


@pytest.mark.slow
def test_a_refusal_says_what_is_short_and_what_would_fit(folder: str):
    told = r"^it does not fit: the phase \w+ needs [\d.]+ .B.*, and 1 MB may be used"
    with pytest.raises(MemoryShortError, match=told) as caught:
        planned(ASKED, folder, gpu(1e6))
    assert "\n" not in str(caught.value)


def test_weights_by_phase():
    model = load(cogvideox(), "cpu")
    assert isinstance(model, PipelineModel)
    sizes = {use: sum(map(planning._size, parts)) for use, parts in model.held.items()}
    whole = sum(sizes.values())
    waiting = Measures(waiting=True)
    assert resident(model, "guide", Measures()) == whole
    assert resident(model, "text", waiting) == sizes["text"]
    assert resident(model, "decode", waiting) == sizes["autoencoder"]
    assert resident(model, "sample", waiting) == sizes["network"]
    assert resident(model, "sample", replace(waiting, offloaded=True)) <= sizes["network"]
    assert resident(model, "sample", replace(waiting, weights=Weights.FP8)) < sizes["network"] / 3


def test_small_models_with_plenty_of_memory_are_not_planned(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(planning, "counting", pytest.fail)
    monkeypatch.setattr("motionlift.work.memory._of", lambda _: ("cpu", 32 * 10**9, 64 * 10**9))
    assert fitting_job(ASKED, "tiny-dit", device="cpu").plan is None


@pytest.mark.slow
def test_a_loaded_model_is_made_to_fit_in_a_view_and_the_record_says_how():
    model = load(cogvideox(), "cpu")
    job = fitting_job(ASKED, model, "2GB")
    assert job.plan is None  # there is plenty
    with pytest.raises(MemoryShortError, match="may be used of main memory"):
        fitting_job(ASKED, model, "1MB")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes. Error code 12"),
    ],
)
def test_a_failed_allocation_is_one_line_and_the_next_plan_is_larger(error: Exception):
    model = load(cogvideox(), "cpu")
    plan = Plan(gpu(1e9), Measures(), (Phase("guide", 10, 20),), "f" * 64, Shape(9, 32, 32), 10, Passes())
    costs = Costs(model, plan=plan)
    told = r"^out of memory on cpu in the phase cast: .*1\.0 GB may be used.* or ask for fewer frames"
    with pytest.raises(MemoryShortError, match=told) as caught, costs.phase("cast"):
        raise error
    assert "\n" not in str(caught.value)
    assert measured.kept().factors == {measured.factor_key("a card", "f" * 64): 1.15}


def test_other_errors_stay_what_they_are():
    assert not is_shortage(RuntimeError("shapes do not fit")) and not is_shortage(ValueError("out of memory"))
    with pytest.raises(RuntimeError, match="shapes"), Costs(load(cogvideox(), "cpu")).phase("cast"):
        raise RuntimeError("shapes do not fit")


@pytest.mark.slow
def test_a_plan_that_was_short_is_larger_the_next_time(folder: str):
    before = planned(ASKED, folder, gpu(1e12))
    measured.keep_shortage(measured.factor_key("a card", before.model))
    after = planned(ASKED, folder, gpu(1e12))
    assert after.need(after.largest) == pytest.approx(1.15 * before.need(before.largest), rel=0.01)


def test_seconds_are_told_where_they_were_measured(folder: str):
    plan = planned(ASKED, folder, gpu(1e12))
    assert plan.seconds is None
    measured.keep_seconds(plan.seconds_key, 2.0)
    assert plan.seconds == 2.0 * plan.passes.work
