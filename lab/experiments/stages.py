"""What each stage of the cascade gains: frames between, against the true ones; larger frames, against the true ones."""

import functools
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional
from jaxtyping import UInt8
from torch import Tensor

from motionlift.bench.references import MOVING, REFERENCE_STREAM, bundled
from motionlift.bench.report.tables import interval, table
from motionlift.core.cost import Step
from motionlift.core.model import Model
from motionlift.errors import ModelError
from motionlift.measure.leakage import HOW_TO_GET_LPIPS, load_lpips
from motionlift.measure.tracks import absolute_error
from motionlift.video.clip import Clip
from motionlift.work.cast import interpolation
from motionlift.world import scenes, upscaler
from motionlift.world.judge import judge_of, judge_video
from motionlift.world.upscaling import super_resolution

NAME = "stages"
COUNT = 16
FACTOR, KEYFRAMES = 4, 7
"""Frames that a keyframe becomes (VMC, released), and keyframes of a clip: two windows of a model of 16 frames."""
SIDE, LARGE_SIDE = 64, 64 * upscaler.FACTOR
TITLES = {"psnr": "PSNR, dB", "lpips": "LPIPS", "centre": "centre"}
AUTOENCODER = "true frames through the autoencoder"
"""The best that a model can draw, since all that it makes comes out of its autoencoder."""
Frames = UInt8[Tensor, "frames height width 3"]
Keyframes = UInt8[Tensor, "keyframes height width 3"]
LargeFrames = UInt8[Tensor, "frames large_height large_width 3"]


def cells(count: int) -> list[dict[str, Any]]:
    """One for each clip."""
    return [{"index": index} for index in range(count)]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Both stages on one clip, each beside the filters that need no model; or why the model cannot interpolate."""
    backbone = bundled(model)
    try:
        between = interpolation(backbone, FACTOR)
    except ModelError as error:
        return {"refused": str(error)}
    scene = _scene(cell["index"])
    frames = len(scene.tracks()[0])
    true, large = (scenes.render([scene], side, side).frames[0] for side in (SIDE, LARGE_SIDE))
    keyframes = Clip.of(true[::FACTOR], backbone.about.fps / FACTOR)
    made = _finished(between.run(keyframes, scene.caption(), cell["index"])).frames
    new = torch.arange(frames) % FACTOR != 0
    small = Clip.of(true, backbone.about.fps)
    enlarged = _finished(super_resolution().run(small, scene.caption(), cell["index"])).frames
    return {
        "between": {
            kind: {**likenesses(own[new], true[new]), "centre": _centre_error(own, scene, new)}
            for kind, own in {
                "diffusion": made,
                "linear": linear(keyframes.frames),
                AUTOENCODER: _through_autoencoder(backbone, true),
            }.items()
        },
        "larger": {
            kind: likenesses(own, large)
            for kind, own in {
                "diffusion": enlarged,
                **{mode: resized(true, mode) for mode in ("bicubic", "bilinear")},
            }.items()
        },
    }


def _scene(index: int) -> scenes.Scene:
    """A held-out scene of one object, as many frames as the keyframes become."""
    return scenes.sample(REFERENCE_STREAM, index, (KEYFRAMES - 1) * FACTOR + 1, objects=1, unseen=True)


def _finished(steps: Generator[Step, None, Clip]) -> Clip:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def _through_autoencoder(backbone: Model, frames: Frames) -> Frames:
    """Encoded and decoded one by one, as a model that keeps frames apart can."""
    pixels = frames.permute(0, 3, 1, 2).float() / 127.5 - 1
    decoded = torch.cat([backbone.codec.decode(backbone.codec.encode(frame[None])) for frame in pixels])
    return ((decoded + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


@functools.lru_cache(maxsize=1)
def _perceptual() -> Any:
    """The network of LPIPS, or None where its weights are not there."""
    try:
        return load_lpips()
    except ModelError:
        return None


def likenesses(own: Frames, true: Frames) -> dict[str, float | None]:
    """How like the truth frames are: ``psnr`` in decibels, and ``lpips``, which is None without its weights."""
    network = _perceptual()
    if network is None:
        return {"psnr": psnr(own, true), "lpips": None}
    planes = [frames.permute(0, 3, 1, 2).float() / 255 for frames in (own, true)]
    with torch.inference_mode():
        return {"psnr": psnr(own, true), "lpips": float(network(*planes).mean())}


def psnr(own: Frames, true: Frames) -> float:
    """Peak signal-to-noise ratio of all pixels together, in decibels."""
    error = (own.float() - true.float()).square().mean()
    return float(20 * math.log10(255) - 10 * torch.log10(error.clamp(min=1e-6)))


def linear(keyframes: Keyframes) -> Frames:
    """Frames between keyframes as their weighted means."""
    weights = torch.arange(FACTOR) / FACTOR
    starts, ends = keyframes[:-1].float(), keyframes[1:].float()
    mixed = torch.stack([(1 - weight) * starts + weight * ends for weight in weights], dim=1).flatten(0, 1)
    return torch.cat([mixed, keyframes[-1:].float()]).round().to(torch.uint8)


def resized(frames: Frames, mode: str) -> LargeFrames:
    """Frames enlarged by a filter."""
    planes = frames.permute(0, 3, 1, 2).float()
    large = torch.nn.functional.interpolate(planes, scale_factor=upscaler.FACTOR, mode=mode, align_corners=False)
    return large.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def _centre_error(frames: Frames, scene: scenes.Scene, new: Tensor) -> float:
    """How far the object's centre is from the truth in the new frames, as a share of the frame's width."""
    centres = judge_video(judge_of(), frames).centres
    return absolute_error(centres[new], torch.as_tensor(scene.tracks()[0], dtype=torch.float32)[new])


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """Both tables, or why the model cannot interpolate."""
    measured = [record for record in records if "refused" not in record]
    if not measured:
        return f"## Stages of the cascade\n\n{records[0]['refused']}.\n"
    perceived = [record for record in measured if record["larger"]["diffusion"]["lpips"] is not None]
    learned = ("lpips",) if len(perceived) == len(measured) else ()
    columns = ("psnr", *learned, "centre")
    between = [
        [clips, kind, *_row(group, "between", kind, columns)]
        for clips, group in _by_motion(measured).items()
        for kind in measured[0]["between"]
    ]
    larger = [[kind, *_row(measured, "larger", kind, columns[:-1])] for kind in measured[0]["larger"]]
    head = [TITLES[name] for name in columns]
    frames = (KEYFRAMES - 1) * FACTOR + 1
    without = "" if learned else f"\nLPIPS is left out, for want of its weights ({HOW_TO_GET_LPIPS}).\n"
    return (
        f"## Stages of the cascade\n\nOn {len(measured)} held-out clips. Interpolation: every {FACTOR}th of {frames} true frames "
        "is given, and the others are compared with the true ones; *centre* is how far the object is from where it should be, as a "
        "share of the width; linear is the weighted mean of both neighbours, exact where nothing moves.\n\n"
        + table(["clips", "interpolation", *head], between)
        + f"\nSuper-resolution: true frames of {SIDE}x{SIDE} to {LARGE_SIDE}x{LARGE_SIDE}.\n\n"
        + table(["super-resolution", *head[:-1]], larger)
        + without
    )


def _by_motion(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """All records, and those of objects that move over the frame apart from those that stay where they are."""
    groups: dict[str, list[Mapping[str, Any]]] = {"all": list(records)}
    for record in records:
        kind = (
            "object moves over the frame" if _scene(record["index"]).motion in MOVING else "object stays in its place"
        )
        groups.setdefault(kind, []).append(record)
    return {f"{kind} ({len(group)})": group for kind, group in groups.items()}


def _row(records: Sequence[Mapping[str, Any]], stage: str, kind: str, figures: Sequence[str]) -> list[str]:
    digits: Mapping[str, Callable[[list[float]], str]] = {
        "psnr": lambda values: interval(values, digits=1),
        "lpips": lambda values: interval(values),
        "centre": lambda values: interval(values),
    }
    return [digits[figure]([record[stage][kind][figure] for record in records]) for figure in figures]
