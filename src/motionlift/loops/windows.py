"""Videos longer than a network sees at once, in overlapping windows (:mod:`motionlift.core.windows`).

In every denoising step, and in every step of an inversion, the network's output is that of all windows, weighed together where they
overlap (MultiDiffusion, 2302.08113, with the weights of FreeNoise, 2310.15169). The noise is FreeNoise's: that of the first window
comes again in the others, its frames in another order, so that all of them show the same things. A motion is lifted in the same
windows, out of latents of the whole reference: what methods hold is taken over the frames that are seen together, as their losses
take it. Each window is guided by its part. The network never holds more than one window; the latents are held whole.

An autoencoder that codes its first frame alone codes no other so, and windows after the first begin with a latent frame of a whole
group: to lifting as to casting.
"""

import math
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.condition import Condition
from motionlift.core.cost import Step
from motionlift.core.lattice import Shape
from motionlift.core.method import Guide, Reference
from motionlift.core.method_settings import Sampled
from motionlift.core.model import Model, Pictures
from motionlift.core.seen import Projections, Record, Recorded
from motionlift.core.tensors import Latents, Pixels
from motionlift.core.windows import Windows
from motionlift.errors import SettingError
from motionlift.motion import names
from motionlift.video.clip import Clip

Picture = Float[Tensor, "1 3 height width"]
"""What a window begins with."""


def windows_over(model: Model, shape: Shape, settings: Sampled) -> Windows:
    """Windows over a video of a size; one where it is no longer than that.

    Raises:
        SettingError: the model cannot make a window so long or so short, or windows that overlap so.
    """
    most, own = getattr(model.codec, "most", None), model.about.shape.frames
    length = settings.window or own
    if most is not None and length > most:
        raise SettingError(
            f"window is {length}, and {model.about.name} sees at most {most} frames: give window={most} or fewer"
        )
    total = model.lattice(shape).frames
    if shape.frames <= length:
        return Windows.whole(total, shape)
    try:
        one = model.codec.fitting(length, shape.height, shape.width)
    except SettingError as error:
        raise SettingError(f"the window does not fit: {error}") from error
    return Windows.over(total, model.lattice(one).frames, settings.overlap, one)


def noise_again(noise: Latents, windows: Windows, generator: torch.Generator) -> Latents:
    """Noise whose frames after the first window are those before, in another order (FreeNoise, section 3.3).

    From one window to the next, as many frames as windows move on are those of as many frames a window before, shuffled. Of one
    window it is the noise as it is.

    Args:
        noise: of the whole video, of which what lies after the first window is not used.
        windows: over it.
        generator: of the orders.
    """
    if not windows.several:
        return noise
    frames = list(noise.split(noise.shape[2] // windows.frames, dim=2))
    for begin in range(windows.length, windows.frames, windows.stride):
        count = min(windows.stride, windows.frames - begin)
        order = torch.randperm(windows.stride, generator=generator)[:count].tolist()
        frames[begin : begin + count] = [frames[begin - windows.length + place] for place in order]
    return torch.cat(frames, dim=2)


def conditions_of(model: Model, prompt: str, windows: Windows, pictures: Sequence[Picture]) -> list[Condition]:
    """A prompt encoded for each window.

    Args:
        model: the model.
        prompt: the prompt.
        windows: over the video.
        pictures: of each window the one that it begins with, where the model must have one; else none.
    """
    if pictures:
        return [model.pictured(picture).text.encode(prompt, windows.shape) for picture in pictures]
    return [model.text.encode(prompt, windows.shape)] * len(windows)


def first_pictures(model: Model, pixels: Pixels, windows: Windows, shape: Shape) -> list[Picture]:
    """What each of several windows of a reference begins with, where the model must have it; else nothing.

    Args:
        model: the model.
        pixels: frames of the reference.
        windows: over it.
        shape: its size.
    """
    if not windows.several or model.about.pictures is not Pictures.MUST:
        return []
    times = model.codec.frame_times(shape.frames)
    begins = [_frames_of(times, windows, number).start for number in range(len(windows))]
    return [pixels[begin : begin + 1] for begin in begins]


def lifted_in(
    windows: Windows, method: Guide[Any], reference: Reference, wide: Clip, model: Model, settings: Any
) -> Generator[Step, None, dict[str, Tensor]]:
    """Lift a motion, in windows where there are several; yields steps and returns tensors by their names in a motion.

    Args:
        windows: over the reference.
        method: the method.
        reference: the whole reference.
        wide: its frames at the reader's larger size.
        model: the model.
        settings: of the method.
    """
    if not windows.several:
        return (yield from method.lift(reference, model, settings))
    pictures = first_pictures(model, reference.pixels, windows, reference.shape)
    found: dict[str, Tensor] = {names.LATENTS: reference.latents}
    # What is lifted waits in main memory: on the device it would be as much as there are windows.
    for number in range(len(windows)):
        seen = model.pictured(pictures[number]) if pictures else model
        steps = method.lift(part_of(reference, wide, model, windows, number), seen, settings)
        own = yield from _counted(steps, number, len(windows))
        found |= {
            names.window_name(number, name): tensor.cpu() for name, tensor in own.items() if name != names.LATENTS
        }
    return found


def part_of(reference: Reference, wide: Clip, model: Model, windows: Windows, number: int) -> Reference:
    """A window of a reference, as if it were one of so many frames."""
    times = model.codec.frame_times(reference.shape.frames)
    frames = _frames_of(times, windows, number)
    start = windows.starts[number]
    return Reference(
        latents=windows.cut(reference.latents, number),
        pixels=reference.pixels[frames],
        wide=replace(wide, frames=wide.frames[frames]).pixels(),
        shape=windows.shape,
        trajectory=[windows.cut(latents, number) for latents in reference.trajectory],
        times=[time - frames.start for time in times[start : start + windows.length]],
    )


def put_by(record: Record) -> Record:
    """Of recorded blocks the keys and values alone, off the device: what is injected into windows that wait for their turn."""

    def kept(seen: Recorded) -> Recorded:
        key, value = seen.key.cpu(), seen.value.cpu()
        alone = Projections(key, key)
        return Recorded(key, key, value, seen.features[..., :0].cpu(), alone, alone, ())

    return {number: kept(seen) for number, seen in record.items()}


def taken_up(record: Record, device: torch.device) -> Record:
    """What was put by, on the device again."""
    return {
        number: replace(seen, key=seen.key.to(device), value=seen.value.to(device)) for number, seen in record.items()
    }


def _frames_of(times: Sequence[float], windows: Windows, number: int) -> slice:
    """Frames behind the lattice frames of a window: as far as halfway to the middles of those beside it."""
    begin, end = windows.starts[number], windows.starts[number] + windows.length
    first = math.ceil((times[begin - 1] + times[begin]) / 2) if begin else 0
    return slice(first, math.floor((times[end - 1] + times[end]) / 2) + 1 if end < len(times) else None)


def _counted(
    steps: Generator[Step, None, dict[str, Tensor]], number: int, count: int
) -> Generator[Step, None, dict[str, Tensor]]:
    """Steps of a window counted among those of all."""
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            return stop.value
        yield replace(step, index=number * step.total + step.index, total=count * step.total)
