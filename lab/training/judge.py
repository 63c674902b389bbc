"""Training of the judge that reads videos of the world."""

import argparse
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from lab.training.worlds import NAMED_WORLD, SHAPES_WORLD, World, seen_moment
from motionlift.errors import ModelError, MotionliftError, OutputError
from motionlift.loops.checkpoint import load_checkpoint, save_checkpoint
from motionlift.world import scenes
from motionlift.world.judge import NAMED_WEIGHTS, SIDE, WEIGHTS, Judge, Judgement, judge_video, load_judge

STEPS = 3600
"""Training steps (ours)."""
BATCH = 64
"""Frames a step (ours)."""
LEARNING_RATE = 3e-3
"""Peak of AdamW's learning rate; it rises over :data:`WARM_UP` steps and falls to zero along a cosine (ours)."""
WARM_UP = 100
MASK_WEIGHT = 5.0
"""Weight of the mask's cross-entropy against the four class losses (ours: it is a mean over mostly easy pixels)."""
EMPTY_SHARE = 1 / 16
"""Share of training frames whose object is left out, so that a vanished object is seen as vanished (ours)."""
BLUR_SIDES = (64, 48, 40, 32)
"""Each quarter of a batch is shrunk to one of these sides and enlarged again, pixels (ours)."""
GAIN, OFFSET, NOISE = 0.12, 0.05, 0.06
"""Largest change of a channel's gain and of its offset, and largest deviation of the noise, for 0..1 colours (ours)."""
TRAINING_STREAM, MEASURING_STREAM = 71, 72
"""Seeds of the scenes for training and for measuring (ours)."""
SHOWN = (("clips of 17 frames", 1000, False), ("single frames", 4000, True))
"""What the command measures: a title, how many clips, and whether one frame of each is shown alone."""
SAVE_EVERY = 200
"""Steps between checkpoints (ours)."""


@dataclass(frozen=True)
class Labels:
    """Truth for a batch of frames, class numbers in the order of the world's classes."""

    mask: Bool[Tensor, "b 64 64"]
    """Where the object is."""
    shape: Int[Tensor, " b"]
    """Shape of the object; -1 where there is none."""
    colour: Int[Tensor, " b"]
    """Colour of the object; -1 where there is none."""
    pattern: Int[Tensor, " b"]
    """Pattern of the background."""
    ground: Int[Tensor, " b"]
    """Colour of the background."""


@dataclass(frozen=True)
class Progress:
    """One training step."""

    step: int
    """Steps done, this one included."""
    steps: int
    """Steps in all."""
    loss: float
    """Loss of this step's batch."""


@dataclass(frozen=True)
class Accuracy:
    """How the judge does on held-out renderings: shares of right answers, 0..1, and the error of its centres."""

    shape: float
    """Share of right shapes; likewise below."""
    colour: float
    """Colour of the object."""
    pattern: float
    """Pattern of the background."""
    ground: float
    """Colour of the background."""
    centre_error: float
    """Mean distance of the mask's centre from the true one, share of the frame's width, where an object is seen."""
    seen: float
    """Share of frames in which an object is seen; there is one in all of them."""


def save_judge(judge: Judge, path: Path) -> None:
    """Write the judge's weights in half precision, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in judge.state_dict().items()
    }
    partial = path.with_name(path.name + ".partial")
    try:
        save_file(tensors, partial)
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path} ({error}); choose a file in a folder that can be written to") from error


def _moment(scene: scenes.Scene, frame: int, empty: bool) -> scenes.Scene:
    """One frame of a scene as a scene of its own, without its objects if asked."""
    moment = seen_moment(scene, frame)
    return replace(moment, objects=()) if empty else moment


def draw_batch(
    seed: int, step: int, size: int, world: World = SHAPES_WORLD
) -> tuple[Float[Tensor, "b 3 64 64"], Labels]:
    """Clean frames in 0..1 and their truth for one step, the same for the same arguments.

    Each frame is taken at random from a clip of 17 frames of its own, so that turned, grown and zoomed objects are
    among them.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    empty = torch.rand(size, generator=generator) < EMPTY_SHARE
    empty[0] = False  # the renderer wants an object in at least one scene
    moments = torch.randint(17, (size,), generator=generator)
    drawn = [
        _moment(world.lone(seed, step * size + number, False), int(moments[number]), bool(empty[number]))
        for number in range(size)
    ]
    rendering = scenes.render(drawn, SIDE, SIDE)
    numbers: dict[str, list[int]] = {name: [] for name in world.classes}
    for scene in drawn:
        item = scene.objects[0] if scene.objects else None
        numbers["shape"].append(world.classes["shape"].index(item.shape) if item else -1)
        numbers["colour"].append(world.classes["colour"].index(item.colour) if item else -1)
        numbers["pattern"].append(world.classes["pattern"].index(scene.background.pattern))
        numbers["ground"].append(world.classes["ground"].index(scene.background.colour))
    labels = Labels(mask=rendering.masks[:, 0, 0], **{name: torch.tensor(value) for name, value in numbers.items()})
    return rendering.frames[:, 0].permute(0, 3, 1, 2) / 255, labels


def distort(frames: Float[Tensor, "b 3 h w"], generator: torch.Generator) -> Float[Tensor, "b 3 h w"]:
    """Frames as a generator might draw them: blurred by quarters of the batch, colours shifted, noisy."""
    size = frames.shape[2:]
    blurred = []
    for side, quarter in zip(BLUR_SIDES, frames.tensor_split(len(BLUR_SIDES)), strict=True):
        if len(quarter) and side != size[0]:
            quarter = functional.interpolate(
                functional.interpolate(quarter, (side, side), mode="area"), size, mode="bilinear"
            )
        blurred.append(quarter)
    batch = len(frames)
    gain, offset = (2 * torch.rand(2, batch, 3, 1, 1, generator=generator) - 1).unbind()
    deviation = NOISE * torch.rand(batch, 1, 1, 1, generator=generator)
    noise = deviation * torch.randn(frames.shape, generator=generator)
    return (torch.cat(blurred) * (1 + GAIN * gain) + OFFSET * offset + noise).clamp(0, 1)


def judge_loss(judgement: Judgement, labels: Labels) -> Float[Tensor, ""]:
    """Cross-entropy of the four classes and, weighted, of the mask; classes numbered -1 are left out."""
    loss = MASK_WEIGHT * functional.binary_cross_entropy_with_logits(judgement.mask.float(), labels.mask.float())
    for name in (each.name for each in fields(Labels) if each.name != "mask"):
        loss = loss + functional.cross_entropy(getattr(judgement, name).float(), getattr(labels, name), ignore_index=-1)
    return loss


def learning_rate(step: int, steps: int) -> float:
    """The learning rate of a step: a linear rise, then half a cosine down to zero."""
    return LEARNING_RATE * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))


def train(
    judge: Judge,
    optimizer: torch.optim.Optimizer,
    steps: int,
    *,
    first: int = 0,
    batch: int = BATCH,
    seed: int = TRAINING_STREAM,
    world: World = SHAPES_WORLD,
) -> Iterator[Progress]:
    """Train in place, yielding after each step.

    A step's frames depend on its number and the seed alone, so a run resumed at ``first`` goes on as it would have.
    """
    for step in range(first, steps):
        judge.train()
        frames, labels = draw_batch(seed, step, batch, world)
        frames = distort(frames, torch.Generator().manual_seed(seed * 2_000_003 + step))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        with torch.autocast("cpu", torch.bfloat16):
            judgement = judge(frames.contiguous(memory_format=torch.channels_last))
        loss = judge_loss(judgement, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield Progress(step + 1, steps, float(loss.detach()))
    judge.eval()


def new_optimizer(judge: Judge) -> torch.optim.Optimizer:
    """AdamW with the settings of the shipped weights; weight decay is ours."""
    return torch.optim.AdamW(judge.parameters(), lr=LEARNING_RATE, weight_decay=0.02)


def measure(
    judge: Judge, clips: int, *, single: bool = False, seed: int = MEASURING_STREAM, world: World = SHAPES_WORLD
) -> Accuracy:
    """Judge true renderings of held-out captions.

    Args:
        judge: a trained judge in evaluation mode.
        clips: how many clips of 17 frames, at least one.
        single: show the judge only one frame of each clip, each in turn.
        seed: names the stream of clips.
        world: what the clips are drawn from.
    """
    right = dict.fromkeys(world.classes, 0)
    distances, seen = [], []
    for index in range(clips):
        scene = world.lone(seed, index, True)
        chosen = [index % scene.frames] if single else list(range(scene.frames))
        verdict = judge_video(judge, scenes.render([scene], SIDE, SIDE).frames[0, chosen])
        item, ground = scene.objects[0], scene.background
        truth = {"shape": item.shape, "colour": item.colour, "pattern": ground.pattern, "ground": ground.colour}
        for name, value in truth.items():
            right[name] += getattr(verdict, name) == value
        track = torch.from_numpy(scene.tracks()[0, chosen])
        distances.append((verdict.centres - track).norm(dim=-1))
        seen.append(~verdict.centres.isnan().any(dim=-1))
    shares = {name: count / clips for name, count in right.items()}
    error, visible = torch.cat(distances).nanmean(), torch.cat(seen).double().mean()
    return Accuracy(**shares, centre_error=float(error), seen=float(visible))


def _train_to(path: Path, steps: int, world: World) -> None:
    """Train, resuming from the checkpoint beside the weights if there is one, and write the weights."""
    if path.is_dir() or not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written; name a file in a folder that exists")
    checkpoint = path.with_name(path.stem + ".checkpoint")
    torch.manual_seed(TRAINING_STREAM)
    judge = Judge(world.classes).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = new_optimizer(judge)
    first = 0
    if checkpoint.exists():
        try:
            first = load_checkpoint(checkpoint, {"judge": judge}, {"adamw": optimizer})
        except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{checkpoint} is not a checkpoint of the judge; remove it to train anew") from error
    for progress in train(judge, optimizer, steps, first=first, world=world):
        if progress.step % SAVE_EVERY == 0:
            save_checkpoint(checkpoint, progress.step, {"judge": judge}, {"adamw": optimizer})
            print(f"step {progress.step} of {steps}: loss {progress.loss:.4f}", flush=True)
    save_judge(judge, path)
    checkpoint.unlink(missing_ok=True)


def main() -> None:
    """Train the judge and measure it, or measure what is there."""
    parser = argparse.ArgumentParser(prog="python -m lab.training.judge", description=main.__doc__)
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps")
    parser.add_argument("--output", type=Path, help="file of the weights; by default the bundled one")
    parser.add_argument("--named", action="store_true", help="of things and grounds that have names")
    parser.add_argument("--measure", action="store_true", help="do not train, only measure the weights at --output")
    arguments = parser.parse_args()
    if arguments.steps < 1:
        parser.error(f"--steps is {arguments.steps}; give a number of at least 1")
    world, bundled = (NAMED_WORLD, NAMED_WEIGHTS) if arguments.named else (SHAPES_WORLD, WEIGHTS)
    output = arguments.output or bundled
    try:
        if not arguments.measure:
            _train_to(output, arguments.steps, world)
        judge = load_judge(output, world.classes)
    except MotionliftError as error:
        parser.error(str(error))
    for title, clips, single in SHOWN:
        result = measure(judge, clips, single=single, world=world)
        figures = ", ".join(f"{field.name} {getattr(result, field.name):.4f}" for field in fields(result))
        print(f"{clips} held-out {title}: {figures}", flush=True)


if __name__ == "__main__":
    main()
