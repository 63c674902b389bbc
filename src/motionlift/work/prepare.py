"""What is refused before long work begins: prompts, seeds, references, settings, and motions that do not fit."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from motionlift.core.method import Method, Tuner
from motionlift.core.method_settings import Guided, Sampled, Tuned
from motionlift.core.model import Backbone
from motionlift.core.settings import with_values
from motionlift.errors import InputError, MotionError, SettingError
from motionlift.motion.file import Motion
from motionlift.motion.names import lacking_blocks
from motionlift.video.clip import Clip

MOST_PROMPT = 10_000
"""Most characters of a prompt; any text window is far smaller (ours)."""
SEEDS = (0, 2**63 - 1)
"""Least and greatest seed: what PyTorch's generators take."""
MOST_LOOKED_AT = 2**28
"""Largest file, in bytes, that is looked at before a model is loaded (ours: a fraction of a second to hash)."""


def settings_for(method: Method, backbone: Backbone, values: Mapping[str, Any] | None) -> Sampled:
    """The method's defaults for a model with some values changed, checked.

    Raises:
        SettingError: an unknown name, a value that is not allowed, or something to be tuned that the model has not.
    """
    settings = with_values(method.settings(backbone), values or {})
    blocks = method.blocks(settings)
    if not all(0 <= number < backbone.blocks for number in blocks):
        raise SettingError(
            f"block {', '.join(map(str, blocks))} does not exist in {backbone.name}; allowed are 0 to {backbone.blocks - 1}"
        )
    if isinstance(settings, Guided) and settings.target != "latents" and not backbone.positions(backbone.shape):
        raise SettingError(
            f"target is {settings.target!r}, but {backbone.name} has no positional tensors; allowed is target=latents"
        )
    if settings.beta and not settings.inversion:
        raise SettingError(f"beta is {settings.beta}, which needs the inverted noise: give inversion=true too")
    if isinstance(method, Tuner):
        method.plan(backbone, settings)
    return settings


def check_reference(path: str | Path) -> None:
    """Refuse what is plainly no video before a model is loaded, by reading two frames.

    A file of more than :data:`MOST_LOOKED_AT` bytes is let through: reading it means hashing it, once is enough.

    Raises:
        InputError: it cannot be read, or shows one frame only in its first ten seconds.
    """
    file = Path(path)
    with suppress(OSError, ValueError):  # reading says what is wrong
        if file.stat().st_size > MOST_LOOKED_AT:
            return
    try:
        Clip.read(file, frames=2, fps=8, aspect=(64, 64), longest=64)
    except InputError:  # or a video that rests at first
        Clip.read(file, frames=2, fps=0.1, aspect=(64, 64), longest=64)


def check_prompt(prompt: str, backbone: Backbone | None = None) -> None:
    """Refuse a prompt before long work; without a model, for what needs none to be seen.

    Raises:
        InputError: it is empty or longer than the model's text window.
    """
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError(
            "the prompt is empty; say what the video shows, such as 'a red star on a blue plain background'"
        )
    if len(prompt) > MOST_PROMPT:
        raise InputError(f"the prompt has {len(prompt)} characters; at most {MOST_PROMPT} are read: shorten it")
    if backbone is not None:
        backbone.text(prompt)


def check_source_prompt(settings: Sampled, backbone: Backbone) -> None:
    """Refuse a source prompt, or a tuning prompt, that the model cannot read whole.

    Raises:
        InputError: it is longer than the model's text window.
    """
    prompts = {"source": settings.source_prompt}
    if isinstance(settings, Tuned) and settings.tuning_prompt:
        prompts["tuning"] = settings.tuning_prompt
    for kind, prompt in prompts.items():
        try:
            backbone.text(prompt)
        except InputError as error:
            raise InputError(f"the {kind} prompt does not fit: {error}") from error


def check_seed(seed: int) -> None:
    """Refuse a seed that PyTorch does not take.

    Raises:
        SettingError: it is no whole number, or out of range.
    """
    if type(seed) is not int or not SEEDS[0] <= seed <= SEEDS[1]:
        raise SettingError(f"seed is {str(seed)[:40]}; allowed is a whole number from {SEEDS[0]} to {SEEDS[1]}")


def check_fit(motion: Motion, backbone: Backbone) -> None:
    """Refuse a motion that is not for this model.

    Raises:
        MotionError: another model, another lattice, or no latents.
    """
    if motion.identity != backbone.identity:
        raise MotionError(
            f"the motion was lifted with {motion.model} (lattice {motion.grid}) and does not fit {backbone.name}: "
            "cast it with that model, or lift it again with this one"
        )
    shape = backbone.fitting(motion.source.shape.frames)
    grid, latents = backbone.grid(shape), motion.tensors.get("latents")
    if grid != motion.grid:
        raise MotionError(f"the motion has the lattice {motion.grid} and {backbone.name} {grid}: lift it again")
    if latents is None or tuple(latents.shape) != backbone.latent_shape(shape):
        raise MotionError(f"the motion does not hold the latents of {shape} that {backbone.name} needs: lift it again")


def check_blocks(motion: Motion, blocks: Sequence[int]) -> None:
    """Refuse blocks that were not lifted.

    Raises:
        MotionError: the motion holds nothing of one.
    """
    lacking = lacking_blocks(motion.tensors, blocks)
    if lacking:
        told = ", ".join(map(str, lacking))
        raise MotionError(f"the motion holds nothing of block {told}: lift it again with that block")


def check_lifted(motion: Motion, settings: Sampled) -> None:
    """Refuse to change what was settled when the motion was lifted."""
    for item in fields(settings):
        value = getattr(settings, item.name)
        if item.metadata.get("lifted") and motion.settings.get(item.name, value) != value:
            raise SettingError(
                f"{item.name} is {value!r}, but the motion was lifted with {motion.settings[item.name]!r}: "
                f"lift it again with {item.name}={value}"
            )
