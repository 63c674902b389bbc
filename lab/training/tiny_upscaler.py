"""Training of the bundled super-resolution stage."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from diffusers import DDIMScheduler
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lab.training.train import CHECKPOINT_EVERY, SEED, TrainingStep, optimise, trapezoid
from motionlift.loops.checkpoint import load_checkpoint
from motionlift.world import scenes
from motionlift.world.upscaler import (
    FACTOR,
    SPREAD,
    WINDOW,
    Large,
    Window,
    enlarged,
    folded,
    network,
    residual,
    scheduler,
)

SMALL_SIDE = 64
"""Side of the smaller frames in training, pixels."""
GIVEN_SHARE = 0.75
"""Share of training windows that are given their first frame (ours)."""
MOST_NOISE = 0.02
"""Most noise on the smaller frames in training, so that those of a model, which are no clean renderings, serve too (ours)."""
STEPS, BATCH, RATE = 1500, 1, 2e-3
"""Training steps, windows a step, and peak learning rate (ours)."""
DECAY = 0.998
"""Decay of the averaged weights that are shipped (ours)."""


def batch(step: int) -> tuple[Window, Large, Bool[Tensor, "b frames"]]:
    """Smaller frames with a little noise, the true frames, and which frames are given, of one step."""
    generator = torch.Generator().manual_seed(step)
    drawn = [scenes.sample(SEED, BATCH * step + number, WINDOW) for number in range(BATCH)]
    side = SMALL_SIDE * FACTOR
    small, large = (
        scenes.render(drawn, each, each).frames.permute(0, 4, 1, 2, 3).float() / 127.5 - 1
        for each in (SMALL_SIDE, side)
    )
    noise = torch.randn(small.shape, generator=generator) * MOST_NOISE * torch.rand((), generator=generator)
    mask = torch.zeros(BATCH, WINDOW, dtype=torch.bool)
    mask[:, 0] = torch.rand(BATCH, generator=generator) < GIVEN_SHARE
    return (small + noise).clamp(-1, 1), large, mask


def upscaling_loss(
    unet: nn.Module, schedule: DDIMScheduler, small: Window, large: Large, mask: Bool[Tensor, "b frames"], seed: int
) -> Float[Tensor, ""]:
    """Mean squared error of the residual, over the frames that are not given.

    Noise levels are drawn in proportion to their timesteps: where there is little noise, the residual is plain to see
    and nothing is learnt of what the smaller frames tell (ours).
    """
    generator = torch.Generator().manual_seed(seed)
    base = enlarged(small)
    true = (large - base) / SPREAD
    clean = folded(true)
    noise = torch.randn(clean.shape, generator=generator)
    levels = int(schedule.config["num_train_timesteps"])
    timestep = (levels * torch.rand(len(small), generator=generator).sqrt()).long()
    noisy = schedule.add_noise(clean, noise, timestep)  # pyright: ignore[reportArgumentType]
    error = (residual(unet, noisy, timestep, base, true, mask).float() - clean).square()
    free = ~mask[:, None, :, None, None].expand_as(error)
    return error[free].mean()


def train(folder: Path) -> Iterator[TrainingStep]:
    """Train, going on from the checkpoint ``upscaler.safetensors`` in the folder."""
    torch.manual_seed(0)
    unet, average = network().train(), network().requires_grad_(False)
    average.load_state_dict(unet.state_dict())
    schedule = scheduler()
    optimizer = torch.optim.AdamW(unet.parameters(), betas=(0.9, 0.99), weight_decay=0.01)

    def loss_at(step: int) -> tuple[Tensor, Mapping[str, float]]:
        torch.manual_seed(step)  # for dropout
        small, large, mask = batch(step)
        with torch.autocast("cpu", torch.bfloat16):
            return upscaling_loss(unet, schedule, small, large, mask, step), {}

    def follow(step: int) -> None:
        kept = min(DECAY, (step + 1) / (step + 10))
        with torch.no_grad():
            for own, other in zip(average.parameters(), unet.parameters(), strict=True):
                own.lerp_(other, 1 - kept)

    rate = trapezoid(STEPS, RATE, warm=50, flat=0.5)
    checkpoint = folder / "upscaler.safetensors"
    yield from optimise(
        STEPS, loss_at, rate, {"unet": unet, "average": average}, {"adamw": optimizer}, checkpoint, follow
    )


def export(folder: Path, weights: Path) -> None:
    """Write the averaged weights of the last checkpoint in half precision, with the scheduler."""
    average = network()
    load_checkpoint(folder / "upscaler.safetensors", {"average": average}, {})
    average.to(torch.float16).save_pretrained(weights / "unet", safe_serialization=True)
    scheduler().save_pretrained(weights / "scheduler")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.training.tiny_upscaler", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/tiny-upscaler"), help="checkpoint and log")
    parser.add_argument("--export", type=Path, help="write the trained network here and do not train")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.export:
        export(arguments.folder, arguments.export)
        return
    recent = []
    for report in train(arguments.folder):
        recent.append(report.figures["loss"])
        if report.step % CHECKPOINT_EVERY == 0:
            print(report.step, round(sum(recent) / len(recent), 5), flush=True)
            recent = []


if __name__ == "__main__":
    main()
