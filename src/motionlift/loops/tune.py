"""The tuning loop: change a network's weights until it moves like one reference.

One loop for every method that tunes: the method says what is tuned and how far the network is from the reference. It runs on
accelerate: mixed precision, accumulation of gradients, several processes. All that is drawn at random follows from the seed, the
step and the process, so that a run that was killed goes on from its checkpoint as if it had not been.
"""

import hashlib
import math
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.state import AcceleratorState, GradientState, PartialState
from accelerate.utils import is_tensorboard_available
from torch import Tensor

from motionlift.core.condition import Condition
from motionlift.core.cost import Step
from motionlift.core.lattice import Shape
from motionlift.core.method import Draw, Stills, Tuner
from motionlift.core.method_settings import Tuned
from motionlift.core.model import Model
from motionlift.core.schedule import Schedule
from motionlift.core.tensors import Latents
from motionlift.core.windows import Windows
from motionlift.errors import DivergenceError, MotionError, SettingError
from motionlift.loops.adapters import Tunable
from motionlift.loops.interrupts import held_back
from motionlift.loops.run_folder import Row, RunFolder

CHECKPOINT_EVERY = 50
"""Steps between checkpoints (ours)."""

MOST_SCALE = 2.0**127
"""Greatest number that the scale of losses in half precision is made of: single precision's (ours)."""

_ONE_STEP = threading.Lock()
"""Held for a step by the run that takes it: PyTorch's own generator, which dropout draws from, is one for a whole process."""


@dataclass(frozen=True)
class Tuning:
    """One adapter to be tuned."""

    model: Model
    """The model."""
    method: Tuner[Any]
    """The method."""
    settings: Tuned
    """Settings of the method."""
    adapter: Tunable
    """What is tuned, on the model's network."""
    latents: Latents
    """The reference, clean."""
    condition: Condition
    """The prompt of tuning, encoded."""
    shape: Shape
    """Size of the reference at the model, or of a window of it."""
    folder: RunFolder | None = None
    """Where checkpoints and losses are kept."""
    stills: Stills | None = None
    """The reference's frames, where looks are tuned apart."""
    windows: Windows | None = None
    """Windows of the reference, where it is longer than the model sees at once: each draw is of one."""
    later: Sequence[Condition] = ()
    """The prompt for the windows after the first, where they begin with pictures of their own."""


def precision_of(settings: Tuned, model: Model) -> str:
    """The precision of a run's autocast, as accelerate names it.

    Raises:
        SettingError: fp16 is asked for without a GPU.
    """
    network: Any = next(iter(model.network.values()))
    own = {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(network.dtype, "no")
    chosen = own if settings.precision == "auto" else settings.precision
    if chosen == "fp16" and model.about.device.type == "cpu":
        raise SettingError("precision is fp16, which needs a GPU; allowed here are no and bf16")
    return chosen


def accelerated(job: Tuning) -> Accelerator:
    """The accelerator of a run, whatever another run in this process has."""
    tracked = job.folder is not None and is_tensorboard_available()
    logged = {"log_with": "tensorboard", "project_dir": job.folder.path} if job.folder and tracked else {}
    # A process keeps its first device, precision and accumulation otherwise; clearing them would take them from other runs.
    for shared in (PartialState, AcceleratorState, GradientState):
        shared._shared_state = type(shared._shared_state)()
    try:
        accelerator = Accelerator(
            mixed_precision=precision_of(job.settings, job.model),
            cpu=job.model.about.device.type == "cpu",
            gradient_accumulation_steps=job.settings.accumulation,
            **logged,
        )
    except ValueError as error:  # variables such as MASTER_ADDR that lack, or ACCELERATE_... that are wrong
        raise SettingError(
            f"accelerate cannot begin with this environment: {' '.join(str(error).split())[:200]}"
        ) from error
    if logged:
        accelerator.init_trackers("events")
    return accelerator


def nothing(_done: int, _resumed: bool) -> Iterator[Step]:
    """What is done beside tuning by those who want nothing."""
    return iter(())


def tune(job: Tuning, between: Callable[[int, bool], Iterator[Step]] = nothing) -> Generator[Step, None, None]:
    """Tune what the job's adapter holds; yields after every step. Stopped early, it keeps a checkpoint of what was done.

    Args:
        job: what is tuned.
        between: called after each step with the number of those that are done and False, and where a run is gone on with, with
            True: the last may have been stopped in the middle of it. Its steps are yielded too.

    Raises:
        DivergenceError: the loss or what is tuned stopped being finite; the last good checkpoint stays.
        MotionError: the folder's checkpoint is not of this run.
        OutputError: the folder cannot be written.
        SettingError: a precision that the device has not.
    """
    total = job.settings.tuning_steps
    optimizer = torch.optim.AdamW(
        list(job.adapter.parameters.values()), lr=job.settings.tuning_lr, weight_decay=job.settings.weight_decay
    )
    done, about = job.folder.resume(job.adapter, optimizer, total) if job.folder else (0, {})
    with _ONE_STEP:
        accelerator = accelerated(job)
        prepared: AcceleratedOptimizer = accelerator.prepare(optimizer)  # pyright: ignore[reportAssignmentType]
    if accelerator.scaler is not None and "scaler" in about:
        accelerator.scaler.load_state_dict(_scaler_state(about["scaler"], accelerator.scaler.state_dict()))
    schedule, saved, is_whole = job.model.schedule(job.settings.steps, job.shape), done, True
    try:
        if done:
            yield from between(done, True)
        for index in range(done, total):
            began = time.perf_counter()
            with _ONE_STEP:
                loss = _gradients(job, accelerator, schedule, index)
                with held_back():  # else a stop between weights and count would take a step twice
                    is_whole = False
                    _apply(job, accelerator, prepared, index)
                    done, is_whole = index + 1, True
                    if job.folder is not None:
                        job.folder.log(Row(done, loss, time.perf_counter() - began))
            accelerator.log({"loss": loss}, step=done)
            if done % CHECKPOINT_EVERY == 0:
                saved = _save(job, accelerator, prepared, done)
            yield Step("tune", index, total, loss)
            yield from between(done, False)
    except DivergenceError:
        is_whole = False  # what came after the last checkpoint may be no good
        raise
    finally:
        if is_whole and saved < done:
            _save(job, accelerator, prepared, done)
        for tracker in accelerator.trackers:
            tracker.finish()


def _scaler_state(told: Any, own: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of the scale of losses in half precision.

    Raises:
        MotionError: it says something else.
    """
    if not isinstance(told, dict) or told.keys() != own.keys():
        raise MotionError("the checkpoint does not say how losses are scaled; remove it to tune anew")
    for name, value in told.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_SCALE:
            raise MotionError(
                f"the checkpoint says that {name} of the losses' scale is {str(value)[:40]!r}; remove it to tune anew"
            )
    return told


def _save(job: Tuning, accelerator: Accelerator, optimizer: AcceleratedOptimizer, done: int) -> int:
    """Write a checkpoint, in one process, where there is a folder; returns the steps that it holds."""
    if job.folder is not None and accelerator.is_main_process:
        scaler = {} if accelerator.scaler is None else {"scaler": accelerator.scaler.state_dict()}
        with held_back():
            job.folder.save(done, job.adapter, optimizer, scaler)
    return done


def _gradients(job: Tuning, accelerator: Accelerator, schedule: Schedule, index: int) -> float:
    """Gradients of all draws of a step; returns its loss, the mean over draws and processes."""
    total = torch.zeros((), device=job.model.about.device)
    for part in range(job.settings.accumulation):
        with accelerator.accumulate(job.model.network), torch.random.fork_rng():
            number = part * accelerator.num_processes + accelerator.process_index
            torch.manual_seed(_seed(job.settings.tuning_seed, index, number))
            draw = _draw(job, schedule)
            losses = job.method.losses(draw, job.model, job.settings)
            with job.model.turn(), job.adapter.attached(), closing(losses):
                for loss in _under(accelerator, losses):
                    total += loss.detach() / job.settings.accumulation
                    accelerator.backward(loss)
                    job.model.passes.went_back()
            _check_finite(float(_mean(accelerator, total)), index)
    return float(_mean(accelerator, total))


def _under(accelerator: Accelerator, losses: Iterator[Tensor]) -> Iterator[Tensor]:
    """Losses, each computed in the run's precision, which what is done with it is not."""
    while True:
        with accelerator.autocast():
            loss = next(losses, None)
        if loss is None:
            return
        yield loss


def _apply(job: Tuning, accelerator: Accelerator, optimizer: AcceleratedOptimizer, index: int) -> None:
    """One step of the optimiser by the gradients that there are."""
    parameters = list(job.adapter.parameters.values())
    _average(accelerator, parameters)
    if job.settings.clip:
        accelerator.clip_grad_norm_(parameters, job.settings.clip)
    optimizer.step()
    optimizer.zero_grad()
    _check_finite(sum(float(parameter.detach().sum()) for parameter in parameters), index)


def _mean(accelerator: Accelerator, tensor: Tensor) -> Tensor:
    """The mean over the processes."""
    reduced = accelerator.reduce(tensor, "mean")
    assert isinstance(reduced, Tensor)
    return reduced


def _average(accelerator: Accelerator, parameters: Sequence[Tensor]) -> None:
    """Average gradients over the processes; no wrapper does it, since a step runs the network more than once, and in part.

    A draw may leave some out in one process and not in another: such gradients are zero there, so that all wait for the same ones.
    """
    if accelerator.num_processes == 1:
        return
    for parameter in parameters:
        own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        parameter.grad = _mean(accelerator, own)


def _check_finite(value: float, index: int) -> None:
    if not math.isfinite(value):
        raise DivergenceError(
            f"tuning diverged in step {index + 1}: a number is {value}; lower tuning_lr. What was tuned up to the last "
            "checkpoint stays"
        )


def _seed(*parts: int) -> int:
    """A seed for one draw of a step: fixed, and different for each."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6], "big")


def _draw(job: Tuning, schedule: Schedule) -> Draw:
    """Noise and a level from PyTorch's own generator, drawn on the CPU, so that a seed means the same everywhere.

    Of several windows one is drawn first, and tuned to as if it were the reference.
    """
    latents, condition = job.latents, job.condition
    if job.windows is not None and job.windows.several:
        number = int(torch.randint(len(job.windows), ()))
        latents = job.windows.cut(latents, number)
        condition = job.later[number - 1] if number and job.later else condition
    noise = torch.randn(latents.shape)
    count = len(schedule.trained)
    index = int(torch.randint(job.settings.lowest(count), count, ()))
    only, stills = job.adapter.only, job.stills
    return Draw(latents, noise.to(latents), index, schedule, condition, job.shape, only, stills)
