"""A small classifier that says what a generated clip of the world shows, and where the object is in every frame.

It is the yardstick for looks: trained on single-object renderings of training captions, measured on held-out ones, and
hardened with blur, noise and colour shifts because generated frames are never as clean as rendered ones.
``python -m motionlift.zoo.judge`` trains and measures it; with ``--measure`` it measures the weights that are there.
"""

import argparse
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from motionlift.checkpoint import load_checkpoint, save_checkpoint
from motionlift.errors import InputError, ModelError, MotionliftError, OutputError
from motionlift.zoo import world
from motionlift.zoo.shapes import SHAPES

SIDE = 64
"""Side of the frames the judge looks at, pixels; other sizes are resized to it."""
CLASSES: dict[str, tuple[str, ...]] = {
    "shape": tuple(SHAPES),
    "colour": tuple(world.COLOURS),
    "pattern": world.PATTERNS,
    "ground": tuple(world.BACKGROUNDS),
}
"""What is told apart, by head, in the order of its logits."""
OBJECT_HEADS = ("shape", "colour")
"""Heads that mean nothing where no object is seen."""
MINIMUM_PIXELS = 8
"""An object covering fewer pixels of the 64x64 frame counts as unseen (ours: the world's smallest covers about 45)."""
WEIGHTS = Path(__file__).parent / "weights" / "judge" / "judge.safetensors"
"""The weights that come with the package."""
LARGEST_FILE = 4 * 2**20
"""Weights larger than this are refused unread, bytes (ours; the shipped file has about 0.6 megabytes)."""

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
class Judgement:
    """Logits for a batch of frames."""

    mask: Float[Tensor, "b 64 64"]
    """Any object against background."""
    shape: Float[Tensor, "b shapes"]
    """In the order of ``CLASSES["shape"]``; likewise below."""
    colour: Float[Tensor, "b colours"]
    """Colour of the object."""
    pattern: Float[Tensor, "b patterns"]
    """Pattern of the background."""
    ground: Float[Tensor, "b grounds"]
    """Colour of the background."""


@dataclass(frozen=True)
class Labels:
    """Truth for a batch of frames, class numbers in the order of :data:`CLASSES`."""

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
class Verdict:
    """What a clip of one object shows."""

    shape: str | None
    """A key of :data:`motionlift.zoo.shapes.SHAPES`; None if no object is seen in any frame."""
    colour: str | None
    """A key of :data:`motionlift.zoo.world.COLOURS`; None if no object is seen in any frame."""
    pattern: str
    """One of :data:`motionlift.zoo.world.PATTERNS`."""
    ground: str
    """Background colour, a key of :data:`motionlift.zoo.world.BACKGROUNDS`."""
    centres: Float[Tensor, "frames 2"]
    """Centre of the object's mask, x then y, as shares of the frame; NaN where no object is seen."""
    masks: Float[Tensor, "frames 64 64"]
    """Probability, 0..1, that a pixel of the frame at the judge's size belongs to any object."""


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
class Measurement:
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


def _convolution(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


class _Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(_convolution(channels, channels), _convolution(channels, channels))

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return features + self.layers(features)


class Judge(nn.Module):
    """A convolutional encoder to an 8x8 lattice, a light decoder for the mask, and one linear head for each class.

    About 290 thousand parameters. Its sizes are ours.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fine = _convolution(3, 24, stride=2)
        self.middle = nn.Sequential(_convolution(24, 40, stride=2), _Residual(40))
        self.coarse = nn.Sequential(_convolution(40, 72, stride=2), _Residual(72), _Residual(72))
        self.to_middle = nn.Conv2d(72, 40, 1)
        self.at_middle = _convolution(40, 24)
        self.at_fine = _convolution(24, 16)
        self.to_mask = nn.Sequential(nn.Conv2d(16, 4, 1), nn.PixelShuffle(2))
        self.gist = nn.Sequential(nn.Linear(2 * 72, 128), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(128, len(classes)) for name, classes in CLASSES.items()})

    def forward(self, frames: Float[Tensor, "b 3 64 64"]) -> Judgement:
        """Judge RGB frames in 0..1."""
        fine = self.fine(frames - 0.5)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        rising = self.at_middle(middle + functional.interpolate(self.to_middle(coarse), scale_factor=2.0))
        rising = self.at_fine(fine + functional.interpolate(rising, scale_factor=2.0))
        gist = self.gist(torch.cat([coarse.mean(dim=(2, 3)), coarse.amax(dim=(2, 3))], dim=1))
        classes = {name: head(gist) for name, head in self.heads.items()}
        return Judgement(mask=self.to_mask(rising)[:, 0], **classes)


def load_judge(path: Path = WEIGHTS) -> Judge:
    """The trained judge, ready to use, on the CPU.

    Raises:
        ModelError: the file is missing, too large, damaged, or does not hold a judge.
    """
    judge = Judge()
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ModelError(f"{path} has more than {LARGEST_FILE} bytes, too many for the judge; train it again")
        tensors = load_file(path)
        judge.load_state_dict(tensors)
    except (OSError, SafetensorError, RuntimeError) as error:
        first_line = str(error).splitlines()[0]
        raise ModelError(f"{path} does not hold the judge's weights ({first_line}); train it again") from error
    return judge.eval()


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


def mask_centres(
    masks: Float[Tensor, "frames height width"],
) -> tuple[Float[Tensor, "frames 2"], Bool[Tensor, " frames"]]:
    """Centre of mass of the pixels of probability above a half, weighted with it.

    Args:
        masks: probabilities, 0..1.

    Returns:
        Centres, x then y, as shares of the frame, NaN where fewer than :data:`MINIMUM_PIXELS` pixels are above a half;
        and whether the object is seen.
    """
    height, width = masks.shape[1:]
    weights = torch.where(masks > 0.5, masks, 0.0)
    seen = (masks > 0.5).sum(dim=(1, 2)) >= MINIMUM_PIXELS
    columns = (torch.arange(width, device=masks.device) + 0.5) / width
    rows = (torch.arange(height, device=masks.device) + 0.5) / height
    total = torch.where(seen, weights.sum(dim=(1, 2)), math.nan)
    x, y = (weights.sum(dim=1) * columns).sum(dim=1), (weights.sum(dim=2) * rows).sum(dim=1)
    return torch.stack([x, y], dim=-1) / total[:, None], seen


def _at_judges_size(frames: UInt8[Tensor, "frames height width 3"]) -> Float[Tensor, "frames 3 64 64"]:
    colours = frames.permute(0, 3, 1, 2).float() / 255
    if colours.shape[2:] != (SIDE, SIDE):
        colours = functional.interpolate(colours, size=(SIDE, SIDE), mode="bilinear", antialias=True).clamp(0, 1)
    return colours


@torch.inference_mode()
def judge_video(judge: Judge, frames: UInt8[Tensor, "frames height width 3"]) -> Verdict:
    """What a clip shows: logits are averaged over its frames, for the object's over those in which one is seen.

    Args:
        judge: a trained judge in evaluation mode.
        frames: RGB, 0..255; any size, resized to 64x64. For two objects only ``masks``, ``pattern`` and ``ground`` have
            a meaning.

    Raises:
        InputError: the clip has no frames.
    """
    if len(frames) == 0:
        raise InputError("the clip has 0 frames; the judge needs at least 1; give it another clip")
    pieces = [judge(piece) for piece in _at_judges_size(frames).split(64)]
    masks = torch.cat([piece.mask for piece in pieces]).sigmoid()
    centres, seen = mask_centres(masks)
    named: dict[str, str | None] = {}
    for name, classes in CLASSES.items():
        logits = torch.cat([getattr(piece, name) for piece in pieces])
        counted = logits[seen] if name in OBJECT_HEADS else logits
        named[name] = classes[int(counted.mean(dim=0).argmax())] if len(counted) else None
    return Verdict(**named, centres=centres, masks=masks)  # pyright: ignore[reportArgumentType]


def _moment(scene: world.Scene, frame: int, empty: bool) -> world.Scene:
    """One frame of a scene as a scene of its own, without its objects if asked."""
    chosen = slice(frame, frame + 1)
    items = tuple(
        replace(item, centre=item.centre[chosen], radius=item.radius[chosen], angle=item.angle[chosen])
        for item in scene.objects
    )
    return replace(scene, objects=() if empty else items, pan=scene.pan[chosen], zoom=scene.zoom[chosen])


def draw_batch(seed: int, step: int, size: int) -> tuple[Float[Tensor, "b 3 64 64"], Labels]:
    """Clean frames in 0..1 and their truth for one step, the same for the same arguments.

    Each frame is taken at random from a clip of 17 frames of its own, so that turned, grown and zoomed objects are
    among them.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    empty = torch.rand(size, generator=generator) < EMPTY_SHARE
    empty[0] = False  # the renderer wants an object in at least one scene
    moments = torch.randint(17, (size,), generator=generator)
    scenes = [
        _moment(world.sample(seed, step * size + number, objects=1), int(moments[number]), bool(empty[number]))
        for number in range(size)
    ]
    rendering = world.render(scenes, SIDE, SIDE)
    numbers: dict[str, list[int]] = {name: [] for name in CLASSES}
    for scene in scenes:
        item = scene.objects[0] if scene.objects else None
        numbers["shape"].append(CLASSES["shape"].index(item.shape) if item else -1)
        numbers["colour"].append(CLASSES["colour"].index(item.colour) if item else -1)
        numbers["pattern"].append(CLASSES["pattern"].index(scene.background.pattern))
        numbers["ground"].append(CLASSES["ground"].index(scene.background.colour))
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
    for name in CLASSES:
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
) -> Iterator[Progress]:
    """Train in place, yielding after each step.

    A step's frames depend on its number and the seed alone, so a run resumed at ``first`` goes on as it would have.
    """
    for step in range(first, steps):
        judge.train()
        frames, labels = draw_batch(seed, step, batch)
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


def measure(judge: Judge, clips: int, *, single: bool = False, seed: int = MEASURING_STREAM) -> Measurement:
    """Judge true renderings of held-out captions.

    Args:
        judge: a trained judge in evaluation mode.
        clips: how many clips of 17 frames, at least one.
        single: show the judge only one frame of each clip, each in turn.
        seed: names the stream of clips.
    """
    right = dict.fromkeys(CLASSES, 0)
    distances, seen = [], []
    for index in range(clips):
        scene = world.sample(seed, index, objects=1, unseen=True)
        chosen = [index % scene.frames] if single else list(range(scene.frames))
        verdict = judge_video(judge, world.render([scene], SIDE, SIDE).frames[0, chosen])
        item, ground = scene.objects[0], scene.background
        truth = {"shape": item.shape, "colour": item.colour, "pattern": ground.pattern, "ground": ground.colour}
        for name, value in truth.items():
            right[name] += getattr(verdict, name) == value
        track = torch.from_numpy(scene.tracks()[0, chosen])
        distances.append((verdict.centres - track).norm(dim=-1))
        seen.append(~verdict.centres.isnan().any(dim=-1))
    shares = {name: count / clips for name, count in right.items()}
    error, visible = torch.cat(distances).nanmean(), torch.cat(seen).double().mean()
    return Measurement(**shares, centre_error=float(error), seen=float(visible))


def _train_to(path: Path, steps: int) -> None:
    """Train, resuming from the checkpoint beside the weights if there is one, and write the weights."""
    if path.is_dir() or not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written; name a file in a folder that exists")
    checkpoint = path.with_name(path.stem + ".checkpoint")
    torch.manual_seed(TRAINING_STREAM)
    judge = Judge().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = new_optimizer(judge)
    first = 0
    if checkpoint.exists():
        try:
            first = load_checkpoint(checkpoint, {"judge": judge}, {"adamw": optimizer})
        except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{checkpoint} is not a checkpoint of the judge; remove it to train anew") from error
    for progress in train(judge, optimizer, steps, first=first):
        if progress.step % SAVE_EVERY == 0:
            save_checkpoint(checkpoint, progress.step, {"judge": judge}, {"adamw": optimizer})
            print(f"step {progress.step} of {steps}: loss {progress.loss:.4f}", flush=True)
    save_judge(judge, path)
    checkpoint.unlink(missing_ok=True)


def main() -> None:
    """Train the judge and measure it, or measure what is there."""
    parser = argparse.ArgumentParser(prog="python -m motionlift.zoo.judge", description=main.__doc__)
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps")
    parser.add_argument("--output", type=Path, default=WEIGHTS, help="file of the weights")
    parser.add_argument("--measure", action="store_true", help="do not train, only measure the weights at --output")
    arguments = parser.parse_args()
    if arguments.steps < 1:
        parser.error(f"--steps is {arguments.steps}; give a number of at least 1")
    try:
        if not arguments.measure:
            _train_to(arguments.output, arguments.steps)
        judge = load_judge(arguments.output)
    except MotionliftError as error:
        parser.error(str(error))
    for title, clips, single in SHOWN:
        result = measure(judge, clips, single=single)
        figures = ", ".join(f"{field.name} {getattr(result, field.name):.4f}" for field in fields(result))
        print(f"{clips} held-out {title}: {figures}", flush=True)


if __name__ == "__main__":
    main()
