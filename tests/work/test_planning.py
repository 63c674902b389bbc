"""Plans: the least measures that fit, refusals that say what would, and failed allocations that make the next plan larger."""

import math
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers.hooks.group_offloading import ModuleGroup

from motionlift.core.cost import Passes, Step
from motionlift.core.lattice import Shape
from motionlift.core.memory import Measures, Weights
from motionlift.core.shortage import tried
from motionlift.errors import MemoryShortError
from motionlift.models.blank import blank, blank_of
from motionlift.models.counting import counting
from motionlift.models.families import serving
from motionlift.models.loading import load
from motionlift.models.offloading import cast
from motionlift.models.shared import PipelineModel
from motionlift.work import measured, planning
from motionlift.work.cast import transfer
from motionlift.work.memory import Room
from motionlift.work.phases import Stretches, Taken
from motionlift.work.plan import Phase, Plan
from motionlift.work.planning import Asked, fitting_job, planned, resident
from motionlift.work.prepare import ask
from motionlift.work.record import Costs, pace_key
from tests.twins import TRANSFORMERS, cogvideox, unet3d
from tests.twins.animatediff import animatediff
from tests.work.test_phases import run
from tests.work.trials import QUICK, a_clip

ASKED = Asked(ask("ditflow", {"steps": 2, "inner": 1, "share": 0.5}, prompt="a red star"))
WAITING = {"cogvideox": cogvideox, "unet3d": unet3d}
NETWORKS: dict[str, Callable[[], Any]] = {
    **{name: lambda twin=twin: twin.build().transformer for name, twin in TRANSFORMERS.items()},
    **{
        name: lambda build=build: build().unet for name, build in {"unet3d": unet3d, "animatediff": animatediff}.items()
    },
}
"""The network of every twin, by its name."""


def load_waiting(twin: str) -> Any:
    """A model whose weights wait in main memory."""
    pipeline = WAITING[twin]()
    return serving(type(pipeline).__name__)(pipeline, "twin", torch.device("cpu"), measures=Measures(offloaded=True))


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


@pytest.mark.slow
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
    assert resident(model, "sample", replace(waiting, weights=Weights.FP8)) < sizes["network"]


def main(size: float, kind: str = "cuda", device: float = 1e12) -> Room:
    """A device with much memory, and main memory beside it."""
    return Room(kind, "a card", round(device), main=round(size))


@pytest.mark.slow
def test_weights_that_have_no_room_in_main_memory_stay_on_the_device(monkeypatch: pytest.MonkeyPatch):
    """In 8 bits all fit there, and none waits; each measure by its price would have them wait first."""
    monkeypatch.setattr(planning, "phases", taking(10))
    whole, cast = (weights_of("tiny-dit", "cuda", Measures(weights=held)) for held in ("own", "fp8"))
    space = main(1e12, device=(whole + cast) / 1.9)
    roomy = planned(ASKED, "tiny-dit", space)
    assert roomy.measures.waiting
    with counting():
        model = blank("tiny-dit", "cuda")
    assert isinstance(model, PipelineModel)
    model.anew = 0
    monkeypatch.setattr("motionlift.models.blank.made_anew", lambda *_: 0)
    least = planning.beside(model, Measures(weights="fp8"), space) + planning._pixels(roomy.shape, is_lifted=True)
    tight = replace(space, main=round(least / 0.95) + 1)
    assert planned(ASKED, "tiny-dit", tight).measures == Measures(weights="fp8")


def test_weights_that_are_not_on_the_device_are_no_memory_of_it(monkeypatch: pytest.MonkeyPatch):
    """A model that was loaded for a GPU lies in main memory until it is used."""
    model = load(cogvideox(), "cpu")
    size = sum(tensor.nbytes for tensor in planning._tensors(model))
    assert planning.held_on(model, torch.device("cpu")) == size
    assert planning.held_on(model, torch.device("cuda:0")) == 0
    model.about = replace(model.about, device=torch.device("cuda:0"))
    monkeypatch.setattr("motionlift.work.memory._of", lambda _: ("a card", 20 * 10**9, 24 * 10**9))
    spaces: list[Room] = []
    monkeypatch.setattr(planning, "_on_loaded", lambda asked, own, space, _: spaces.append(space) or asked.job(own))
    fitting_job(ASKED, model)
    assert spaces[0].bytes == 20 * 10**9


def test_weights_that_are_in_files_alone_are_not_held_in_main_memory(monkeypatch: pytest.MonkeyPatch):
    """Of files the system shows pages, which count as available."""
    model = load(cogvideox(), "cpu")
    monkeypatch.setattr(planning, "own_memory", lambda: 1000)
    assert planning.held_on(model, torch.device("cpu")) == 1000


@pytest.mark.slow
def test_main_memory_is_planned_beside_a_gpu(folder: str):
    plan = planned(ASKED, folder, main(1e12))
    pixels = planning._pixels(plan.shape, is_lifted=True)
    assert plan.main == pixels and plan.measures == Measures(), "nothing waits, and nothing is known of files"
    need = max(plan.main_need(phase) for phase in plan.phases)
    assert planned(ASKED, folder, main(need + 1)).measures == Measures()
    told = "^it does not fit: weights that wait there, and pixels, need [0-9]+ MB, .* main memory; what would fit: --frames 8"
    with pytest.raises(MemoryShortError, match=told):
        planned(ASKED, folder, main(0.93 * need))
    with pytest.raises(MemoryShortError, match=r"take a smaller model, or more main memory$"):
        planned(ASKED, folder, main(0.1 * need))


@pytest.mark.slow
def test_levels_of_an_inversion_in_windows_wait_in_main_memory_and_are_planned(
    folder: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(planning, "phases", taking(10))
    values = {"window": 9, "inversion": True, "source_prompt": "a red star", "tuning_steps": 1}
    plans = [
        planned(Asked(ask("vmc", {**values, "steps": steps}, prompt="a red star"), frames=33), folder, main(1e12))
        for steps in (2, 5)
    ]
    latents = 4 * math.prod(load(cogvideox(), "cpu").codec.latent_shape(Shape(33, 32, 32)))
    assert plans[1].main - plans[0].main == 3 * latents


@pytest.mark.slow
def test_weights_that_wait_in_main_memory_are_planned(folder: str):
    """Where a device is too small for all weights, those that are not used lie there."""
    whole, waiting = (weights_of(folder, "cuda", Measures(waiting=is_so)) for is_so in (False, True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "phases", taking(10))
        space = main(1e12, device=(whole + waiting) / 2)
        plan = planned(ASKED, folder, space)
        assert plan.measures == Measures(waiting=True)
        pixels = planning._pixels(plan.shape, is_lifted=True)
        assert 0 < plan.main - pixels < whole
        with pytest.raises(MemoryShortError, match="may be used of main memory"):
            planned(ASKED, folder, replace(space, main=pixels))


def test_weights_that_wait_for_a_gpu_are_pinned_in_powers_of_two(folder: str):
    with counting():
        model = blank(folder, "cuda")
    assert isinstance(model, PipelineModel)
    (network,), offloaded = model.held["network"], Measures(waiting=True, offloaded=True)
    sizes = [weight.nbytes for weight in network.parameters()]
    assert planning._pinned(network) == sum(min(2**power for power in range(40) if 2**power >= size) for size in sizes)
    whole = sum(map(planning._size, (part for parts in model.held.values() for part in parts)))
    assert planning.beside(model, offloaded, main(1)) > whole == planning.beside(model, offloaded, main(1, "mps"))
    assert (
        planning.beside(model, Measures(waiting=True), main(1))
        < whole
        == planning.beside(model, Measures(), main(1, "mps"))
    )
    assert planning.beside(model, Measures(), main(1)) == 0
    model.anew = 2 * whole
    assert planning.beside(model, offloaded, main(1)) == planning.beside(model, Measures(), main(1)) == 2 * whole


@pytest.mark.slow
def test_what_is_on_apples_gpus_is_in_main_memory_too(folder: str):
    plan = planned(ASKED, folder, main(1e12, "mps"))
    largest = max(plan.phases, key=lambda phase: phase.beyond)
    assert plan.main_need(largest) * 0.95 == pytest.approx(plan.main + largest.beyond)
    less = planned(ASKED, folder, main(plan.main_need(largest) + 1, "mps"))
    assert not less.short and less.measures == Measures()
    with pytest.raises(MemoryShortError, match="may be used of main memory"):
        planned(ASKED, folder, main(plan.main, "mps"))


@pytest.mark.slow
def test_of_a_loaded_model_only_what_goes_into_main_memory_counts():
    asked, space = ASKED, main(1e12)
    model = load(cogvideox(), "cpu")
    assert isinstance(model, PipelineModel)
    for away, shared, counted in ((5000, "cuda", 5000), (5000, "mps", 0)):
        settled = planning._Settled(model.about.measures, away)
        plan = planning._Planner(lambda: blank_of(model), asked, replace(space, kind=shared), settled).plan()
        assert plan.main == counted + planning._pixels(plan.shape, is_lifted=True)


@pytest.mark.slow
@pytest.mark.parametrize("held", [Measures(weights="fp8"), Measures(offloaded=True)])
@pytest.mark.parametrize("twin", WAITING)
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("none", {}),
        ("ditflow", {"inner": 1, "share": 0.5}),
        ("vmc", {"source_prompt": "a red star", "tuning_steps": 1}),
    ],
)
def test_what_a_loaded_model_takes_beside_its_weights_does_not_go_by_how_they_are_held(
    method: str, settings: dict[str, Any], twin: str, held: Measures
):
    """The copy that is counted once ran the model that it was copied from, whose weights are there, and in 8 bits."""
    asked = Asked(ask(method, {"steps": 2, **settings}, prompt="a red star"))

    def taken(measures: Measures) -> dict[str, int]:
        pipeline = WAITING[twin]()
        model = serving(type(pipeline).__name__)(pipeline, "twin", torch.device("cpu"), measures=measures)
        return {phase.name: phase.beyond for phase in planned(asked, model, gpu(1e12)).phases}

    assert taken(held) == taken(Measures())


@pytest.mark.parametrize(
    ("kind", "changes", "left_out"),
    [
        ("cuda", {}, set()),
        ("cuda", {"compiled": True}, {"offloaded", "weights"}),
        ("cuda", {"parallel": 2}, {"offloaded"}),
        ("mps", {}, {"weights"}),
        ("cpu", {}, {"waiting", "offloaded", "weights"}),
        ("cpu", {"compiled": True}, {"waiting", "offloaded", "weights"}),
    ],
)
def test_what_loading_would_refuse_is_not_planned(kind: str, changes: dict[str, Any], left_out: set[str], folder: str):
    """Compiled networks keep their weights where and as they are, processes share none that waits, and Apple has no fp8.

    Of this model it is not known whether all has to be read before it is held in 8 bits.
    """
    with counting():
        model = blank(folder, kind)
    assert isinstance(model, PipelineModel)
    asked = replace(ASKED, **changes)
    planner = planning._Planner(lambda: model, asked, Room(kind, "a card", 10**12))
    assert {item.name for item in fields(Measures)} - {*planner._choices(model, asked)} == left_out


def taking(size: int) -> Callable[..., Taken]:
    """What a job takes, where that is the same in all phases, whatever is done."""
    return lambda *_, **_named: Taken(
        dict.fromkeys(("text", "encode", "lift", "guide", "sample", "decode"), size), Passes()
    )


def weights_of(name: str, kind: str, measures: Measures, dtype: str = "auto") -> int:
    """Bytes of a model's weights on a device in the phase in which they are most."""
    with counting():
        model = blank(name, kind, dtype)
    assert isinstance(model, PipelineModel)
    return max(resident(model, phase, measures) for phase in ("text", "decode", "sample"))


@pytest.mark.slow
def test_a_compiled_model_that_only_fits_offloaded_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(planning, "SMALL", 0)
    monkeypatch.setattr(planning, "phases", taking(10))
    monkeypatch.setattr(planning, "load", pytest.fail)
    monkeypatch.setattr(planning, "device_named", torch.device)
    space = gpu(0.8 * weights_of("tiny-dit", "cuda", Measures(waiting=True)))
    monkeypatch.setattr(planning, "room", lambda *_: space)
    assert planned(ASKED, "tiny-dit", space).measures.offloaded
    with pytest.raises(MemoryShortError, match="what would fit: leaving --compile out"):
        fitting_job(replace(ASKED, compiled=True), "tiny-dit", device="cuda")


@pytest.mark.slow
def test_without_a_gpu_weights_are_held_in_eight_bits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(planning, "phases", taking(20 * 10**6))
    whole = weights_of("tiny-dit", "cpu", Measures())
    space = Room("cpu", "cpu", round(whole + 18 * 10**6))
    assert planned(ASKED, "tiny-dit", space).measures == Measures(weights="fp8")


@pytest.mark.slow
@pytest.mark.parametrize("anew", [None, 10**12])
def test_without_a_gpu_weights_that_are_too_many_to_be_read_are_not(anew: int | None, monkeypatch: pytest.MonkeyPatch):
    """In 8 bits they would fit once they are there; numbers of half the size are asked for by name."""
    monkeypatch.setattr(planning, "phases", taking(10))
    monkeypatch.setattr("motionlift.models.blank.made_anew", lambda *_: anew)
    whole = weights_of("tiny-dit", "cpu", Measures())
    space = Room("cpu", "cpu", round(0.8 * whole))
    with pytest.raises(MemoryShortError, match=r"may be used of main memory; what would fit: --dtype bf16$"):
        planned(ASKED, "tiny-dit", space)
    assert not planned(ASKED, "tiny-dit", space, "bf16").short
    with pytest.raises(MemoryShortError, match=r"take a smaller model or another device$"):
        planned(ASKED, "tiny-dit", replace(space, bytes=round(0.3 * whole)))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["fp32", "auto"])
def test_half_precision_is_named_where_it_is_not_there_already(
    dtype: str, folder: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(planning, "phases", taking(10))
    least = Measures(waiting=True, offloaded=True)
    space = gpu(0.7 * weights_of(folder, "cuda", least, dtype))
    with pytest.raises(MemoryShortError) as caught:
        planned(ASKED, folder, space, dtype)
    assert ("--dtype bf16" in str(caught.value)) is (dtype == "fp32")


@pytest.mark.slow
def test_weights_in_eight_bits_on_a_cpu_take_what_is_planned():
    asked = Asked(ask("flowmotion", {"steps": 2}, prompt="a red star on a dark field"))
    with counting("cpu") as count:
        model = load("tiny-dit", "cpu", measures=Measures(weights="fp8"))
        assert isinstance(model, PipelineModel)
        for tensor in planning._tensors(model):
            count.take(tensor)
        stretches = Stretches(count, Passes())
        run(asked.job(model), stretches)
    planner = planning._Planner(lambda: blank("tiny-dit", "cpu"), asked, Room("cpu", "cpu", 10**12))
    with counting(is_main=True) as count:
        own = planning._made(planner.make, count)
        plan = planning._Trial(own, asked, planner.space, count, None).plan(Measures(weights="fp8"))
    for phase in plan.phases:
        if phase.name in ("guide", "sample"):  # of which the weights are half or more
            assert phase.peak == pytest.approx(stretches.peaks[phase.name], rel=0.15), phase.name


def test_small_models_with_plenty_of_memory_are_not_planned(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(planning, "counting", pytest.fail)
    monkeypatch.setattr("motionlift.work.memory._of", lambda _: ("cpu", 32 * 10**9, 64 * 10**9))
    assert fitting_job(ASKED, "tiny-dit", device="cpu").plan is None


@pytest.mark.slow
@pytest.mark.parametrize(("twin", "options"), [("cogvideox", {"size"}), ("unet3d", {"method", "frames", "size"})])
def test_what_is_advised_fits(twin: str, options: set[str], tmp_path: Path):
    """Below what fits with all that can be done, what a refusal names is planned and fits."""
    WAITING[twin]().save_pretrained(tmp_path / "twin")
    name, asked = str(tmp_path / "twin"), replace(ASKED, frames=9, size=(64, 64))
    plenty = planned(asked, name, gpu(1e12))
    short = gpu(plenty.need(plenty.largest) / 2)
    with pytest.raises(MemoryShortError, match=r"with all that can be done.*; what would fit: ") as caught:
        planned(asked, name, short)
    advised = dict(re.findall(r"--(\w+) (\w+)", str(caught.value)))
    assert set(advised) == options
    for option, value in advised.items():
        if option == "frames":
            less = replace(asked, frames=int(value))
        elif option == "size":
            width, height = map(int, value.split("x"))
            less = replace(asked, size=(width, height))
        else:
            less = replace(asked, request=ask(value, {"steps": 2}, prompt="a red star"))
        assert not planned(less, name, short).short


@pytest.mark.slow
def test_prompts_take_what_they_took_as_they_were_encoded(folder: str, monkeypatch: pytest.MonkeyPatch):
    """They are remembered from then on, so that a later view of the model encodes none."""
    first, later = {"text": 9 * 10**6, "guide": 10**8}, {"text": 10, "guide": 10}
    runs = iter([Taken(first, Passes()), Taken(later, Passes())])
    monkeypatch.setattr(planning, "phases", lambda *_, **_named: next(runs))
    plan = planned(ASKED, folder, gpu(8e7))
    assert {phase.name: phase.beyond for phase in plan.phases} == {"text": 9 * 10**6, "guide": 10}


@pytest.mark.parametrize("twin", sorted(NETWORKS))
def test_weights_of_8_bits_are_those_that_diffusers_casts(twin: str):
    """Some layers of a network are delicate and stay as they are."""
    network = NETWORKS[twin]()
    told = planning._size(network, Weights.FP8), [planning._at_once(network, Weights.FP8, own) for own in (True, False)]
    cast(network)
    assert told == (planning._size(network), [planning._at_once(network, Weights.OWN, own) for own in (True, False)])


@pytest.mark.parametrize("twin", ["cogvideox", "unet3d"])
def test_what_waits_is_there_as_it_is_counted(twin: str, monkeypatch: pytest.MonkeyPatch):
    """Block after block, and leaf after leaf: what diffusers brings of a network is followed."""
    model: Any = load_waiting(twin)
    network = model.held["network"][0]
    own, there, most = {*network.parameters(), *network.buffers()}, {}, [0]
    brings, takes = ModuleGroup.onload_, ModuleGroup.offload_

    def bring(group: Any) -> None:
        brings(group)
        held = {weight for part in group.modules for weight in (*part.parameters(), *part.buffers())}
        there[group] = sum(weight.nbytes for weight in (held | {*group.parameters, *group.buffers}) & own)
        most.append(sum(there.values()))

    def take(group: Any) -> None:
        takes(group)
        there.pop(group, None)

    monkeypatch.setattr(ModuleGroup, "onload_", bring)
    monkeypatch.setattr(ModuleGroup, "offload_", take)
    shape = model.about.shape
    latents, condition = torch.zeros(model.codec.latent_shape(shape)), model.text.encode("a star", shape)
    with model.turn(), torch.no_grad():
        model.predict(latents, model.schedule(2, shape).levels[0], condition)
    assert max(most) == planning._at_once(network, Weights.OWN, model.by_block) < planning._size(network)


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
    asked = "" if tried(error) == "" else r", where (2\.00 GiB|9 bytes) more were asked for"
    told = f"^out of memory on cpu in the phase cast, after step 3 of guide{asked}: .*1\\.0 GB may be used.* or ask for fewer"
    with pytest.raises(MemoryShortError, match=told) as caught, costs.phase("cast"):
        costs.logged(lambda _: None)(Step("guide", 2, 8))
        raise error
    assert "\n" not in str(caught.value) and "the same command now plans for more" in str(caught.value)
    assert measured.kept().factors == {measured.factor_key("a card", "f" * 64): 1.15}


def failed(costs: Costs) -> str:
    """What is said of a job for which memory ended."""
    with pytest.raises(MemoryShortError) as caught, costs.phase("cast"):
        raise MemoryError
    return str(caught.value)


@pytest.mark.slow
def test_what_cannot_be_raised_is_not_said_to_be():
    plan = Plan(gpu(1e9), Measures(), (Phase("guide", 10, 20),), "f" * 64, Shape(9, 32, 32), 10, Passes())
    told = [failed(Costs(load(cogvideox(), "cpu"), plan=plan)) for _ in range(7)]
    assert ["plans for more" in own for own in told] == [True] * 5 + [False] * 2
    assert all(
        "ask for fewer frames" in own and own.endswith("flowmotion takes least of those that guide") for own in told
    )
    least = failed(Costs(load(cogvideox(), "cpu"), plan=replace(plan, method="flowmotion")))
    assert least.endswith("ask for fewer frames or a smaller size")


@pytest.mark.slow
def test_a_job_that_was_not_planned_raises_later_plans_too(folder: str):
    model: Any = load(cogvideox(), "cpu")
    job = ASKED.job(model)
    most = 4 * planning._held(model) + planning.MOST_PER_PIXEL * job.shape.frames * job.shape.height * job.shape.width
    space = Room("cpu", "cpu", 2 * most)
    assert planning._is_plenty(job, space)
    assert "by --memory" in failed(Costs(model))
    assert planned(ASKED, folder, Room("cpu", "cpu", 10**12)).factor == 1.15
    assert not planning._is_plenty(job, space)


@pytest.mark.parametrize(
    ("kind", "peak", "after"),
    [("cpu", 10**12, 1.15 / 1.05), ("cuda", 30, 1.15 / 1.05), ("cuda", 31, 1.15)],
)
def test_a_plan_that_was_enough_is_smaller_the_next_time(
    kind: str, peak: int, after: float, monkeypatch: pytest.MonkeyPatch
):
    """Unless a GPU tells that the job took more than was predicted, so that its factor was needed."""
    model: Any = load(cogvideox(), "cpu")
    job = ASKED.job(model)
    model.about = replace(model.about, device=torch.device(kind))
    monkeypatch.setattr("motionlift.work.record.peak_memory", lambda _: peak)
    plan = Plan(gpu(1e9), Measures(), (Phase("guide", 10, 20),), "f" * 64, Shape(9, 32, 32), 10, Passes(), factor=1.15)
    key = measured.factor_key("a card", "f" * 64)
    measured.keep_shortage(key)
    Costs(model, plan=plan).keep(job)
    assert measured.kept().factors == {key: pytest.approx(after, abs=1e-5)}


@pytest.mark.slow
def test_seconds_are_known_after_a_job_that_was_not_planned(tmp_path: Path):
    cogvideox().save_pretrained(tmp_path / "twin")
    model = load(str(tmp_path / "twin"), "cpu")
    asked = Asked(ask("ditflow", QUICK, prompt="a red star"))
    assert planned(asked, str(tmp_path / "twin"), Room("cpu", "cpu", 10**12)).seconds is None
    transfer(a_clip(), "a red star", model, settings=QUICK, cached=False, memory="2GB")
    assert planned(asked, str(tmp_path / "twin"), Room("cpu", "cpu", 10**12)).seconds is not None


def test_seconds_are_those_of_a_model_that_computes_so():
    """What takes longer or less is kept apart; that parts wait between passes is not."""
    ways = [
        measured.pace(Measures(), "bf16"),
        measured.pace(Measures(), "fp32"),
        measured.pace(Measures(offloaded=True), "bf16"),
        measured.pace(Measures(recomputed=True), "bf16"),
        measured.pace(Measures(weights=Weights.FP8), "bf16"),
        measured.pace(Measures(), "bf16", compiled=True),
        measured.pace(Measures(), "bf16", processes=2),
    ]
    assert len(set(ways)) == len(ways) and measured.pace(Measures(waiting=True), "bf16") == ways[0]


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shapes"), Costs(load(cogvideox(), "cpu")).phase("cast"):
        raise RuntimeError("shapes do not fit")


@pytest.mark.slow
def test_a_plan_that_was_short_is_larger_the_next_time(folder: str):
    before = planned(ASKED, folder, gpu(1e12))
    measured.keep_shortage(measured.factor_key("a card", before.model))
    after = planned(ASKED, folder, gpu(1e12))
    assert after.need(after.largest) == pytest.approx(1.15 * before.need(before.largest), rel=0.01)


@pytest.mark.slow
def test_seconds_are_told_where_they_were_measured(folder: str):
    plan = planned(ASKED, folder, gpu(1e12))
    assert plan.seconds is None
    measured.keep_seconds(plan.seconds_key, 2.0)
    assert plan.seconds == 2.0 * plan.passes.work
    measured.keep_seconds(f"{plan.seconds_key} encode", 7.0)
    measured.keep_seconds(f"{plan.seconds_key} decode", 30.0)
    assert plan.seconds == 37.0 + 2.0 * plan.passes.work


def test_what_a_pass_took_is_told_from_what_is_beside_it(monkeypatch: pytest.MonkeyPatch):
    """A slow encoder and a slow decoder are in no pass, nor are words: of three steps of 2 seconds one is not seen to begin."""
    clock = iter([0.0, 40.0, 50.0, 60.0, 62.0, 64.0, 65.0, 70.0, 100.0])
    monkeypatch.setattr("motionlift.work.record.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    model = load(cogvideox(), "cpu")
    costs, job = Costs(model), ASKED.job(model)
    advance = costs.logged(lambda _: None)
    with costs.phase("lift"):  # 0 to 40
        model.passes.ran(1)
    with costs.phase("cast"):  # 50 to 65: ten of words and of a first step
        for index in range(3):
            model.passes.ran(1)
            advance(Step("sample", index, 3))
    with costs.phase("decode"):  # 70 to 100
        pass
    costs.keep(job)
    key = pace_key(job)
    assert measured.kept().seconds == {key: 2.0, f"{key} encode": 38.0, f"{key} decode": 15.0 - 6.0 + 30.0}
