"""A model that serves jobs one after the other: what is refused does not go by which came first."""

from dataclasses import replace
from pathlib import Path
from weakref import WeakSet, ref

import pytest
import torch

from motionlift.core.cost import Passes
from motionlift.core.memory import Measures
from motionlift.core.model import Model
from motionlift.errors import MemoryShortError
from motionlift.models.loading import load
from motionlift.models.shared import PipelineModel
from motionlift.work import keeping, planning
from motionlift.work.keeping import Kept, room_without
from motionlift.work.memory import Room
from motionlift.work.phases import Taken
from motionlift.work.planning import Asked, planned
from motionlift.work.prepare import Job, ask

REQUEST = ask("flowmotion", {"steps": 2}, prompt="a red star on a dark field")
SMALL, LARGE, HUGE = (Asked(REQUEST, frames=count) for count in (9, 17, 33))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def by_frames(monkeypatch: pytest.MonkeyPatch):
    """Nothing is run: what a job takes beside the weights goes by its frames."""

    def phases(job: Job, *_: object, **_named: object) -> Taken:
        return Taken({"sample": job.shape.frames * 10**6}, Passes())

    monkeypatch.setattr(planning, "phases", phases)


def needed(asked: Asked, size: int = 10**12) -> int:
    """Bytes of main memory that the plan of a job asks for."""
    plan = planned(asked, "tiny-dit", Room("cpu", "cpu", size))
    return round(plan.need(plan.largest))


@pytest.mark.slow
def test_a_later_job_that_fits_only_otherwise_has_its_model_read_again():
    most = needed(LARGE) - 4 * 10**6
    kept = Kept("tiny-dit", most, "cpu")
    assert needed(SMALL) < most and kept.job(SMALL).model.about.measures.weights == "own"
    first = ref(kept.job(SMALL).model)
    job = kept.job(LARGE)
    assert job.model.about.measures.weights == "fp8" and kept.model is job.model and kept.reads == 2
    assert first() is None, "two models were held at once"
    assert kept.job(SMALL).model.about.measures.weights == "fp8" and kept.reads == 2


def test_a_small_model_is_asked_about_and_then_serves_its_first_job():
    kept = Kept("tiny-dit", device="cpu")
    model = kept.before_jobs()
    assert kept.before_jobs() is model and kept.job(SMALL).model.network is model.network and kept.reads == 1


@pytest.mark.slow
def test_a_model_whose_weights_are_held_otherwise_than_a_job_asks_is_read_again():
    kept = Kept("tiny-dit", device="cpu")
    kept.before_jobs()
    assert kept.job(replace(SMALL, weights="fp8")).model.about.measures.weights == "fp8" and kept.reads == 2
    assert kept.job(SMALL).model.about.measures.weights == "fp8" and kept.reads == 2, "as it fits"
    assert kept.job(replace(SMALL, weights="own")).model.about.measures.weights == "own" and kept.reads == 3


@pytest.mark.slow
def test_a_large_one_waits_in_main_memory_until_its_first_job(monkeypatch: pytest.MonkeyPatch):
    """Else it would be on the device before it is known what it takes there; it goes once its job is known to fit."""
    reads: list[Measures | None] = []

    def read(name: str, device: str, loras: object, dtype: str, measures: Measures | None = None, **_: object) -> Model:
        reads.append(measures)
        return load(name, "cpu")

    for module in (keeping, planning):
        monkeypatch.setattr(module, "load", read)
        monkeypatch.setattr(module, "is_small", lambda _: False)
        monkeypatch.setattr(module, "device_named", lambda _: torch.device("cuda"))
    monkeypatch.setattr(planning, "room", lambda *_: Room("cpu", "cpu", needed(HUGE) - 10**6))
    monkeypatch.setattr(keeping, "room_without", planning.room)
    kept = Kept("tiny-dit", device="cuda")
    asked = ref(kept.before_jobs())
    assert reads == [Measures(waiting=True)] and kept.is_asked_only
    with pytest.raises(MemoryShortError):
        kept.job(replace(HUGE, weights="own"))
    assert asked() is kept.model and len(reads) == 1, "refused, it is not read again"
    job = kept.job(SMALL)
    assert asked() is None and reads[1] == Measures() and len(reads) == kept.reads == 2
    assert kept.before_jobs().network is job.model.network and not kept.is_asked_only


@pytest.mark.slow
def test_what_fits_in_no_way_is_refused_as_it_is_alone_and_the_model_stays(monkeypatch: pytest.MonkeyPatch):
    most = needed(SMALL) + 10**6
    kept = Kept("tiny-dit", most, "cpu")
    model = kept.job(SMALL).model
    with pytest.raises(MemoryShortError) as alone:
        planning.fitting_job(HUGE, "tiny-dit", most, "cpu")
    monkeypatch.setattr(planning, "load", pytest.fail)
    with pytest.raises(MemoryShortError) as later:
        kept.job(HUGE)
    assert str(later.value) == str(alone.value)
    assert kept.model is model and kept.reads == 1


@pytest.mark.slow
def test_what_the_model_holds_is_free_once_it_goes(monkeypatch: pytest.MonkeyPatch):
    """Of a GPU's memory, and of main memory: else the job would be refused for what the kept model takes."""
    monkeypatch.setattr("motionlift.work.keeping._KEPT", WeakSet())
    kept = Kept("tiny-dit", device="cpu")
    model = kept.job(SMALL).model
    assert isinstance(model, PipelineModel)
    size = sum(tensor.nbytes for tensor in planning._tensors(model))
    monkeypatch.setattr("motionlift.work.memory._of", lambda _: ("a device", 10**9, 10**12))
    assert room_without(torch.device("cpu")).bytes == 10**9 + size
    assert room_without(torch.device("cuda:0")).bytes == 10**9, "they are not there"
    assert room_without(torch.device("cuda:0")).main == 10**9 + size
    kept.forget()
    assert room_without(torch.device("cpu")).bytes == 10**9
