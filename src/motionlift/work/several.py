"""Several videos of one motion, and steps as diffusers' pipelines tell them."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from motionlift.core.cost import Advance, Step
from motionlift.core.given import Whole, Wholes, as_int, as_list, came, check_given
from motionlift.core.tensors import Latents
from motionlift.errors import InputError, SettingError, Stopped
from motionlift.work.prepare import SEEDS, Job

MOST_VIDEOS = 1000
"""Most videos of one call (ours: days of work of any model)."""

Prompts = str | Sequence[str]
Generators = torch.Generator | Sequence[torch.Generator]
OnStepEnd = Callable[[Any, int, Any, dict[str, Any]], Mapping[str, Any] | None]
"""diffusers' ``callback_on_step_end``: it gets the model, the number of the step, its timestep and ``{"latents": ...}``; latents
that it gives back under that name are gone on with."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Wanted:
    """One of several videos."""

    prompt: str
    """What it shows."""
    seed: int
    """Seed of its noise."""


def is_several(prompt: Prompts, seeds: Wholes | None) -> bool:
    """Whether a list of videos is asked for."""
    return not isinstance(prompt, str) or seeds is not None


def wanted(
    prompt: Prompts, seed: Whole = 0, seeds: Wholes | None = None, generator: Generators | None = None
) -> list[Wanted]:
    """The videos that are asked for: every prompt with every seed, prompt after prompt.

    Args:
        prompt: one, or a list.
        seed: the one of all, where neither of the others is given.
        seeds: several, of any type of whole numbers.
        generator: seeds are drawn from it, a new one for each video; or one for each prompt.

    Raises:
        InputError: no prompts, or what is no text.
        SettingError: several of them say what the noise is, too many videos, what are no seeds or no generators, or generators
            that are not one for each prompt.
    """
    prompts, numbers = _texts(prompt), None if seeds is None else _numbers(seeds)
    own_seed, generators = as_int(seed), None if generator is None else _generators(generator)
    unset = isinstance(own_seed, int) and own_seed == 0
    given = [
        *([] if unset else ["seed"]),
        *([] if numbers is None else ["seeds"]),
        *([] if generators is None else ["generator"]),
    ]
    if len(given) > 1:
        raise SettingError(
            f"{' and '.join(given)} are given, which each say what noise a video begins with; give one of them"
        )
    each = [own_seed] if numbers is None else numbers
    if len(prompts) * len(each) > MOST_VIDEOS:
        raise SettingError(
            f"{len(prompts) * len(each)} videos are asked for; at most {MOST_VIDEOS} are made: split them"
        )
    if generators is None:
        return [Wanted(text, own) for text in prompts for own in each]
    if isinstance(generators, torch.Generator):
        return [Wanted(text, seed_of(generators)) for text in prompts]
    if len(generators) != len(prompts):
        raise SettingError(
            f"{len(generators)} generators came for {len(prompts)} prompts; give one for each, or one for all"
        )
    return [Wanted(text, seed_of(own)) for text, own in zip(prompts, generators, strict=True)]


def _texts(prompt: Prompts) -> list[str]:
    """One prompt or several, as a list."""
    prompts = [prompt] if isinstance(prompt, str) else as_list(prompt)
    if prompts is None:
        raise InputError(f"the prompt is {came(prompt)}; give text that says what the video shows, or a list of such")
    if not prompts:
        raise InputError("an empty list of prompts came; give at least one")
    for number, text in enumerate(prompts):
        if not isinstance(text, str):
            raise InputError(f"prompt {number} of the list is {came(text)}; give text that says what the video shows")
    return prompts


def _numbers(seeds: Wholes) -> list[int]:
    """Wholes as Python's numbers; each is looked at where it is used."""
    numbers = as_list(seeds)
    if numbers is None:
        raise SettingError(
            f"seeds is {came(seeds)}; give a list of whole numbers, such as [0, 1, 2]; one goes to seed="
        )
    if not numbers:
        raise SettingError("an empty list of seeds came; give at least one")
    return [as_int(number) for number in numbers]


def _generators(generator: Generators) -> torch.Generator | list[torch.Generator]:
    """PyTorch's generators."""
    several = [generator] if isinstance(generator, torch.Generator) else as_list(generator)
    others = [generator] if several is None else [own for own in several if not isinstance(own, torch.Generator)]
    if several is None or others:
        raise SettingError(
            f"generator is {came(others[0])}; give torch.Generator().manual_seed(3), or a list with one for each prompt; a "
            "number goes to seed="
        )
    return generator if isinstance(generator, torch.Generator) else several


def step_end_of(on_step_end: OnStepEnd | None, inputs: Sequence[str]) -> OnStepEnd | None:
    """Diffusers' callback, which gets those of its inputs that are asked for by name.

    Args:
        on_step_end: the callback.
        inputs: diffusers' ``callback_on_step_end_tensor_inputs``: ``("latents",)``, or none.

    Raises:
        SettingError: it cannot be called, or another input is asked for.
    """
    check_given(callback_on_step_end=on_step_end)
    names = as_list(inputs)
    others = [inputs] if names is None else [name for name in names if name != "latents"]
    if names is None or others:
        raise SettingError(
            f'callback_on_step_end_tensor_inputs has {came(others[0])}; allowed is ["latents"], which is so by itself, or []'
        )
    if on_step_end is None or names:
        return on_step_end
    return lambda model, step, timestep, _: on_step_end(model, step, timestep, {})


def seed_of(generator: torch.Generator) -> int:
    """A seed from a generator, which then gives others: of a fresh one the seed that it was made with.

    So ``torch.Generator().manual_seed(3)`` makes the video that ``seed=3`` makes, and records can say the seed.
    """
    seed = generator.initial_seed() & SEEDS[1]
    fresh = torch.Generator(generator.device).manual_seed(generator.initial_seed())
    is_fresh = torch.equal(fresh.get_state(), generator.get_state())
    drawn = int(torch.randint(SEEDS[1], (), generator=generator, device=generator.device))
    return seed if is_fresh else drawn


def with_negative(settings: Mapping[str, Any] | None, negative_prompt: str | None) -> Mapping[str, Any]:
    """Settings with a negative prompt that came beside them.

    Raises:
        SettingError: they have another, or one of both is of another kind.
    """
    check_given(settings=settings, negative_prompt=negative_prompt)
    own = dict(settings or {})
    if negative_prompt is None:
        return own
    if own.get("negative_prompt", negative_prompt) != negative_prompt:
        raise SettingError("negative_prompt is given beside settings that hold another; give one of them")
    return {**own, "negative_prompt": negative_prompt}


def driven(
    steps: Generator[Step, Latents | None, Result], job: Job, advance: Advance, on_step_end: OnStepEnd | None
) -> Result:
    """Run a sampling loop to its end, passing its steps on; returns what the loop returns.

    Args:
        steps: of the loop, which goes on with latents that are sent to it.
        job: whose loop it is.
        advance: called with every step.
        on_step_end: called after every denoising step.

    Raises:
        InputError: the callback gave back what are no latents of the video.
        Stopped: the callback set ``_interrupt`` of the model, as it stops a pipeline of diffusers.
    """
    changed: Latents | None = None
    with closing(steps):
        while True:
            try:
                step = steps.send(changed)
            except StopIteration as stop:
                return stop.value
            advance(step)
            changed = None
            if on_step_end is not None and step.phase == "sample":
                changed = _answer(on_step_end, step, job)


def _answer(on_step_end: OnStepEnd, step: Step, job: Job) -> Latents | None:
    """Latents that a callback changed; None where it did not."""
    levels = job.model.schedule(job.settings.steps, job.windows.shape).levels
    found = on_step_end(job.model, step.index, torch.tensor(levels[step.index].timestep), {"latents": step.latents})
    if getattr(job.model, "_interrupt", False):
        raise Stopped(
            f"callback_on_step_end asked for it after step {step.index + 1} of {step.total}; nothing was written"
        )
    latents = (found or {}).get("latents")
    if latents is None or latents is step.latents:
        return None
    own = step.latents
    if not isinstance(latents, torch.Tensor) or own is None or latents.shape != own.shape:
        came = tuple(latents.shape) if isinstance(latents, torch.Tensor) else type(latents).__name__
        raise InputError(
            f"callback_on_step_end gave back latents of {came}; give {'none' if own is None else tuple(own.shape)}, as they came"
        )
    return latents.detach().to(own)
