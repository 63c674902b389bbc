"""The tuning loop: it lowers its loss, goes on exactly where it was killed, keeps no bad state, and takes turns with others."""

import csv
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from motionlift.core.method import Draw, Reference, Tuner
from motionlift.errors import DivergenceError, MotionError, OutputError, SettingError
from motionlift.loops import run_folder, sample, tune, tuning
from motionlift.loops.adapters import Addition, Tunable, fitted
from motionlift.methods import method as method_named
from motionlift.methods import methods
from motionlift.motion import run_files
from tests.methods.references import reference as moving
from tests.methods.references import twin

PROMPT = "a red star"
TUNERS = sorted(name for name, own in methods().items() if isinstance(own, Tuner))


@pytest.fixture(scope="module")
def model() -> Any:
    return twin()


@pytest.fixture(scope="module")
def given(model: Any) -> Reference:
    return moving(model)


def job(
    model: Any, given: Reference, adapter: Any, folder: Any = None, method: str = "vmc", **changes: Any
) -> tune.Tuning:
    own = method_named(method)
    assert isinstance(own, Tuner)
    settings = replace(
        own.settings(model), **{"source_prompt": PROMPT, "tuning_steps": 6, "tuning_lr": 0.01, **changes}
    )
    condition = model.text.encode(PROMPT)
    stills = tuning.stills_of(model, given, PROMPT)
    return tune.Tuning(model, own, settings, adapter, given.latents, condition, given.shape, folder, stills)


def tunable(model: Any, method: str = "vmc", **changes: Any) -> Tunable:
    own = method_named(method)
    assert isinstance(own, Tuner)
    return Tunable(model.network, own.plan(model, replace(own.settings(model), **changes)), 0)


def run(
    model: Any, given: Reference, folder: Path | None = None, content: Any = None, **changes: Any
) -> tuple[dict, list[float]]:
    """The adapter and the losses of a whole run."""
    opened = run_folder.opened(folder, content or {"run": 1}) if folder else None
    kept = {name: value for name, value in changes.items() if name in ("rank", "block", "attention")}
    adapter = tunable(model, changes.get("method", "vmc"), **kept)
    if opened is None:
        losses = [step.loss for step in tune.tune(job(model, given, adapter, **changes))]
    else:
        with opened as place:
            losses = [step.loss for step in tune.tune(job(model, given, adapter, place, **changes))]
    return adapter.tensors(), losses


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("method", TUNERS)
def test_it_repeats_exactly_and_the_seed_matters(model: Any, given: Reference, method: str):
    first, again, other = (run(model, given, method=method, tuning_seed=seed) for seed in (0, 0, 1))
    assert same(first[0], again[0]) and first[1] == again[1]
    assert not same(first[0], other[0])


@pytest.mark.slow
@pytest.mark.parametrize("method", TUNERS)
def test_its_loss_falls_for_the_draws_it_learns(
    model: Any, given: Reference, method: str, monkeypatch: pytest.MonkeyPatch
):
    """With one draw for all steps the loss must fall: with new ones it is mostly their noise."""
    monkeypatch.setattr(tune, "_seed", lambda *parts: 5)
    has_dropout = hasattr(method_named(method).settings(model), "dropout")
    _, losses = run(model, given, method=method, tuning_steps=25, **({"dropout": 0.0} if has_dropout else {}))
    assert losses[-1] < 0.9 * losses[0], losses


@pytest.mark.slow
@pytest.mark.parametrize("method", TUNERS)
@pytest.mark.parametrize("killed_at", [1, 2, 4, 5])
def test_a_killed_run_ends_as_one_that_was_not(
    model: Any, given: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, killed_at: int
):
    """A kill leaves the folder as it is at that moment: such a copy is taken, and gone on with."""
    monkeypatch.setattr(tune, "CHECKPOINT_EVERY", 2)
    expected, losses = run(model, given, tmp_path / "whole", method=method)
    adapter = tunable(model, method)
    with run_folder.opened(tmp_path / "killed", {"run": 1}) as folder:
        for step in tune.tune(job(model, given, adapter, folder, method)):
            if step.index + 1 == killed_at:
                shutil.copytree(tmp_path / "killed", tmp_path / "left")
                break
    resumed, rest = run(model, given, tmp_path / "left", method=method)
    assert same(resumed, expected)
    assert rest == losses[killed_at - killed_at % 2 :]
    assert logged(tmp_path / "left") == logged(tmp_path / "whole") == [(n + 1, loss) for n, loss in enumerate(losses)]


def logged(folder: Path) -> list[tuple[int, float]]:
    with (folder / run_files.LOSSES).open(newline="") as file:
        return [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_stopped_it_keeps_every_step_and_may_go_on_for_longer(model: Any, given: Reference, tmp_path: Path):
    adapter = tunable(model)
    with run_folder.opened(tmp_path / "run", {"run": 1}) as folder:
        steps: Iterator[Any] = tune.tune(job(model, given, adapter, folder))
        for _ in range(3):
            next(steps)
        steps.close()
    assert len(logged(tmp_path / "run")) == 3
    longer, rest = run(model, given, tmp_path / "run", tuning_steps=9)
    assert len(rest) == 6 and same(longer, run(model, given, tuning_steps=9)[0])


def test_a_run_of_more_steps_is_not_passed_off_as_shorter(model: Any, given: Reference, tmp_path: Path):
    run(model, given, tmp_path / "run", tuning_steps=4)
    with pytest.raises(MotionError, match="holds a run of 4 steps, and 2 are asked for; ask for 4 or more"):
        run(model, given, tmp_path / "run", tuning_steps=2)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["optimiser", "saving"])
def test_ctrl_c_never_cuts_a_step_or_a_checkpoint(
    model: Any, given: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
):
    """It comes within the optimiser, or while the checkpoint is written: both are finished first."""
    name = {"optimiser": "_apply", "saving": "save"}[when]
    owner: Any = tune if when == "optimiser" else run_folder.RunFolder
    original, calls = getattr(owner, name), []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return original(*arguments)

    monkeypatch.setattr(tune, "CHECKPOINT_EVERY", 1)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(model, given, tmp_path / "run")
    assert len(logged(tmp_path / "run")) == 2
    assert same(run(model, given, tmp_path / "run")[0], run(model, given)[0])


@pytest.mark.slow
@pytest.mark.parametrize("error", [RuntimeError, DivergenceError])
def test_an_error_within_the_optimiser_is_never_kept_as_a_step(
    model: Any, given: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
):
    """Half of the weights are a step ahead, as where memory is short; the checkpoint from before stays, signal or not."""
    original, calls = tune._apply, []

    def failing(job: tune.Tuning, *arguments: Any) -> None:
        calls.append(1)
        original(job, *arguments)
        if len(calls) == 4:
            next(iter(job.adapter.parameters.values())).data.fill_(9.0)
            signal.raise_signal(signal.SIGINT)
            raise error("in the middle")

    monkeypatch.setattr(tune, "CHECKPOINT_EVERY", 2)
    with monkeypatch.context() as patch:
        patch.setattr(tune, "_apply", failing)
        with pytest.raises(KeyboardInterrupt):
            run(model, given, tmp_path / "run")
    assert len(logged(tmp_path / "run")) == 2
    assert same(run(model, given, tmp_path / "run")[0], run(model, given)[0])


def test_a_damaged_log_of_losses_is_told_apart(model: Any, given: Reference, tmp_path: Path):
    run(model, given, tmp_path / "run", tuning_steps=1)
    (tmp_path / "run" / run_files.LOSSES).write_text("step,loss,seconds\n1,many,2\n")
    with pytest.raises(MotionError, match=r"loss.csv is no longer the log of this run; remove it to go on"):
        run(model, given, tmp_path / "run", tuning_steps=2)


def test_a_finished_run_does_nothing_more(model: Any, given: Reference, tmp_path: Path):
    expected, _ = run(model, given, tmp_path / "run")
    again, losses = run(model, given, tmp_path / "run")
    assert losses == [] and same(again, expected)


@pytest.mark.slow
def test_accumulated_gradients_are_the_mean_of_their_draws(
    model: Any, given: Reference, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tune, "_seed", lambda seed, index, number: 7)
    once, one = run(model, given, tuning_steps=3)
    thrice, three = run(model, given, tuning_steps=3, accumulation=3)
    assert three == pytest.approx(one, rel=1e-4)
    for name in once:
        torch.testing.assert_close(once[name], thrice[name], atol=2e-4, rtol=1e-2)


@pytest.mark.slow
def test_one_pass_each_way_for_every_draw(model: Any, given: Reference):
    before = model.passes.forward, model.passes.backward
    run(model, given, tuning_steps=2, accumulation=3)
    assert (model.passes.forward - before[0], model.passes.backward - before[1]) == (6, 6)
    before = model.passes.forward, model.passes.backward
    run(model, given, method="motionmatcher", tuning_steps=2)
    assert (model.passes.forward - before[0], model.passes.backward - before[1]) == (6, 4)


@pytest.mark.slow
def test_timesteps_are_drawn_from_the_noisy_share_alone(model: Any, given: Reference, monkeypatch: pytest.MonkeyPatch):
    drawn = []

    def loss(draw: Draw, *_: Any) -> torch.Tensor:
        drawn.append(draw.level.timestep)
        return model.predict(draw.latents, draw.level, draw.condition).square().mean()

    monkeypatch.setattr(methods()["vmc"].__class__, "loss", lambda self, *arguments: loss(*arguments))
    run(model, given, tuning_steps=200, clean_share=0.5)
    assert 500 <= min(drawn) < 520 and 980 < max(drawn) <= 999
    drawn.clear()
    run(model, given, tuning_steps=200)
    assert min(drawn) < 30


@pytest.mark.slow
def test_a_diverging_run_says_so_and_keeps_the_last_good_state(
    model: Any, given: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tune, "CHECKPOINT_EVERY", 2)
    with pytest.raises(DivergenceError, match=r"tuning diverged in step \d+: a number is .*; lower tuning_lr"):
        run(model, given, tmp_path / "run", tuning_steps=30, tuning_lr=10.0, form="l2", clip=0.0, weight_decay=1.0)
    adapter = tunable(model)
    with run_folder.opened(tmp_path / "run", {"run": 1}) as folder:
        done, _ = folder.resume(adapter, torch.optim.AdamW(list(adapter.parameters.values())), 30)
        assert done > 0 and done % 2 == 0 and all(tensor.isfinite().all() for tensor in adapter.state_dict().values())


def test_fp16_needs_a_gpu_and_bf16_does_not(model: Any, given: Reference):
    with pytest.raises(SettingError, match="precision is fp16, which needs a GPU; allowed here are no and bf16"):
        run(model, given, precision="fp16")
    rough, losses = run(model, given, precision="bf16")
    _, others = run(model, given, precision="no")
    assert losses != others and losses == pytest.approx(others, rel=0.1)
    assert all(tensor.dtype == torch.float32 for tensor in rough.values())


# Turns


def tuned(model: Any, given: Reference, method: str, **changes: Any) -> Any:
    """A tuning run of its own, to be taken step by step; the last step is what it tuned."""
    adapter = tunable(model, method)
    yield from tune.tune(job(model.counted(), given, adapter, method=method, tuning_steps=4, **changes))
    yield adapter.tensors()


def sampled(model: Any, given: Reference, adapter: dict[str, torch.Tensor]) -> Any:
    """A cast with an adapter, to be taken step by step; the last step is its latents."""
    own = method_named("vmc")
    settings = replace(own.settings(model), steps=4, beta=0.0)
    switch = fitted(model, [Addition(adapter)])
    result = yield from sample.cast(sample.Casting(model.counted(), own, settings, {}, given.shape, PROMPT, 1, switch))
    yield result.latents


@pytest.mark.slow
def test_two_tuning_runs_and_a_cast_in_turn_are_what_each_is_alone(model: Any, given: Reference):
    """Nothing of an adapter is on the network between steps, and no run changes the precision or accumulation of another."""
    adapter, _ = run(model, given)
    runs = {
        "vmc": lambda: tuned(model, given, "vmc", precision="bf16"),
        "motionmatcher": lambda: tuned(model, given, "motionmatcher", accumulation=2),
        "cast": lambda: sampled(model, given, adapter),
    }
    latents, level = given.latents, model.schedule(4).levels[0]
    bare = model.predict(latents, level, model.text.encode(PROMPT)).detach()
    alone = {name: list(start()) for name, start in runs.items()}
    going, found = {name: start() for name, start in runs.items()}, {name: [] for name in runs}
    while going:
        for name, steps in list(going.items()):
            try:
                found[name].append(next(steps))
            except StopIteration:
                del going[name]
            assert torch.equal(model.predict(latents, level, model.text.encode(PROMPT)), bare), "the network is its own"
    for name, steps in alone.items():
        assert [getattr(step, "loss", None) for step in found[name]] == [getattr(step, "loss", None) for step in steps]
    assert same(found["vmc"][-1], alone["vmc"][-1]) and same(found["motionmatcher"][-1], alone["motionmatcher"][-1])
    assert torch.equal(found["cast"][-1], alone["cast"][-1])


# The folder


def test_another_run_is_refused_by_what_differs(model: Any, given: Reference, tmp_path: Path):
    run(model, given, tmp_path / "run", {"source": "a", "method": "vmc"}, tuning_steps=1)
    with pytest.raises(MotionError, match=r"holds another run: its source differ.* give another folder"):
        run(model, given, tmp_path / "run", {"source": "b", "method": "vmc"}, tuning_steps=1)


@pytest.mark.parametrize("kept", [0, 40, -1])
def test_a_damaged_checkpoint_is_refused(model: Any, given: Reference, tmp_path: Path, kept: int):
    run(model, given, tmp_path / "run", tuning_steps=1)
    path = tmp_path / "run" / run_files.CHECKPOINT
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(MotionError, match=r"is damaged or no checkpoint of this run.*remove it to tune anew"):
        run(model, given, tmp_path / "run", tuning_steps=1)


def test_a_checkpoint_of_other_layers_is_refused(model: Any, given: Reference, tmp_path: Path):
    run(model, given, tmp_path / "run", tuning_steps=1)
    with pytest.raises(MotionError, match="no checkpoint of this run"):
        run(model, given, tmp_path / "run", method="motionmatcher", tuning_steps=2)


def test_a_full_disk_keeps_the_last_checkpoint(
    model: Any, given: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tune, "CHECKPOINT_EVERY", 2)
    run(model, given, tmp_path / "run", tuning_steps=2)
    old = (tmp_path / "run" / run_files.CHECKPOINT).read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("motionlift.motion.file.save_file", full)
    with pytest.raises(OutputError, match=r"cannot write .*: the disk is full.*; the last checkpoint stays"):
        run(model, given, tmp_path / "run", tuning_steps=6)
    assert (tmp_path / "run" / run_files.CHECKPOINT).read_bytes() == old
