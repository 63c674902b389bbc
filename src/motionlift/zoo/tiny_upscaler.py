"""The bundled super-resolution stage: a diffusion model that adds to enlarged frames what they lack, from 64x64 to 128x128.

It makes the residual between a frame and its enlarged smaller self, a window of frames at a time, given the smaller frames and,
from the second window on, the frame that the window before ended with. Train it by ``python -m motionlift.zoo.tiny_upscaler``.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
import torch.nn.functional as functional
from diffusers import DDIMScheduler, UNet3DConditionModel
from jaxtyping import Bool, Float
from torch import Tensor, nn

from motionlift.checkpoint import load_checkpoint
from motionlift.zoo import world
from motionlift.zoo.train import CHECKPOINT_EVERY, SEED, TrainingStep, optimise, trapezoid

FACTOR, WINDOW = 2, 8
"""How much larger frames become, and frames of a window (VMC, released: eight)."""
SMALL_SIDE = 64
"""Side of the smaller frames in training, pixels."""
PATCH = 2
"""Side of the squares of pixels that the network sees as channels of one place (ours: its convolutions are then cheap; squares of
4x4 were cheaper still, and hid the edges)."""
WIDTHS = (32, 48, 64)
"""Channels of the network's levels, each of half the rows and columns (ours)."""
CHANNELS = 3 * PATCH**2
"""Channels of a place: those of its pixels."""
SPREAD, DETAIL = 0.035, 0.055
"""Root mean squares in the world, in units of -1..1 (measured), of the residual, and of what enlarged frames hold beside the means
of such squares: the network sees both divided by these. Colours themselves would drown the little that an edge is told by."""
GIVEN_SHARE = 0.75
"""Share of training windows that are given their first frame (ours)."""
MOST_NOISE = 0.02
"""Most noise on the smaller frames in training, so that those of a model, which are no clean renderings, serve too (ours)."""
STEPS, BATCH, RATE = 1500, 1, 2e-3
"""Training steps, windows a step, and peak learning rate (ours)."""
DECAY = 0.998
"""Decay of the averaged weights that are shipped (ours)."""
TEXT = (1, 8)
"""Tokens and width of the empty text that the network's attention is given."""

Window = Float[Tensor, "b 3 frames height width"]
"""Frames, RGB in -1..1."""
Large = Float[Tensor, "b 3 frames large_height large_width"]
"""The same, of the larger size."""


def network() -> UNet3DConditionModel:
    """The network: noisy residual, detail of the enlarged frames, the residual that is given, and where; as places of pixels."""
    return UNet3DConditionModel(
        in_channels=3 * CHANNELS + 1,
        out_channels=CHANNELS,
        down_block_types=("DownBlock3D",) * len(WIDTHS),
        up_block_types=("UpBlock3D",) * len(WIDTHS),
        block_out_channels=WIDTHS,
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=TEXT[1],
        attention_head_dim=16,
    )


def scheduler() -> DDIMScheduler:
    """From pure noise, the network predicting the clean residual: it is hardly wide enough to tell noise."""
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
        clip_sample=False,
    )


def enlarged(small: Window) -> Large:
    """Frames enlarged by the usual bicubic filter."""
    frames = small.transpose(1, 2).flatten(0, 1)
    large = functional.interpolate(frames, scale_factor=FACTOR, mode="bicubic", align_corners=False).clamp(-1, 1)
    return large.unflatten(0, (len(small), -1)).transpose(1, 2)


def detail(base: Large) -> Large:
    """What enlarged frames hold beside the means of their squares, in units of :data:`DETAIL`."""
    frames = base.transpose(1, 2).flatten(0, 1)
    means = functional.interpolate(
        functional.avg_pool2d(frames, PATCH), scale_factor=PATCH, mode="bilinear", align_corners=False
    )
    return ((frames - means) / DETAIL).unflatten(0, (len(base), -1)).transpose(1, 2)


def folded(frames: Window) -> Float[Tensor, "b channels frames rows columns"]:
    """Squares of pixels as channels of one place."""
    places = functional.pixel_unshuffle(frames.transpose(1, 2), PATCH)
    return places.transpose(1, 2)


def unfolded(places: Float[Tensor, "b channels frames rows columns"]) -> Window:
    """Undoes :func:`folded`."""
    return functional.pixel_shuffle(places.transpose(1, 2), PATCH).transpose(1, 2)


def residual(
    unet: nn.Module,
    noisy: Float[Tensor, "b channels frames rows columns"],
    timestep: Tensor,
    base: Window,
    given: Window,
    mask: Bool[Tensor, "b frames"],
) -> Float[Tensor, "b channels frames rows columns"]:
    """The folded residual that the network sees in a noisy one.

    Args:
        unet: the network.
        noisy: the folded residual with noise, in units of :data:`SPREAD`.
        timestep: one for every window.
        base: enlarged frames.
        given: the residual where it is given, in the same units; what it holds elsewhere does not matter.
        mask: frames where it is given.
    """
    where = mask[:, None, :, None, None].to(noisy)
    told = folded(given) * where
    inputs = torch.cat([noisy, folded(detail(base)), told, where.expand(-1, -1, -1, *noisy.shape[3:])], dim=1)
    text = torch.zeros(len(noisy), *TEXT, device=noisy.device, dtype=noisy.dtype)
    return unet(inputs, timestep, text, return_dict=False)[0]


def batch(step: int) -> tuple[Window, Large, Bool[Tensor, "b frames"]]:
    """Smaller frames with a little noise, the true frames, and which frames are given, of one step."""
    generator = torch.Generator().manual_seed(step)
    scenes = [world.sample(SEED, BATCH * step + number, WINDOW) for number in range(BATCH)]
    side = SMALL_SIDE * FACTOR
    small, large = (
        world.render(scenes, each, each).frames.permute(0, 4, 1, 2, 3).float() / 127.5 - 1
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
    parser = argparse.ArgumentParser(description=__doc__)
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
