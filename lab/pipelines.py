"""What the pipelines of diffusers do by themselves, to compare with."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import diffusers
import torch
from torch import Tensor, nn

from motionlift.core.lattice import Shape
from motionlift.core.tensors import Latents
from motionlift.models.transformer import Row

LTX2 = (diffusers.LTX2Pipeline, diffusers.LTX2ImageToVideoPipeline)
"""Pipelines that give latents as their autoencoder takes them."""
NETWORKS = ("transformer", "transformer_2")
"""Parts that predict."""


@dataclass
class OwnRun:
    """A run of a pipeline by itself."""

    latents: Latents
    """Of the finished video, in the legend's axes."""
    entered: list[Latents] = field(default_factory=list)
    """Latents before each pass of a network, of one video."""
    left: list[Latents] = field(default_factory=list)
    """What the network said of them."""


def first_order(pipeline: Any, row: Row, steps: int) -> None:
    """Give a pipeline the scheduler that the row's steps are equal to: its own at the first order, or DDIM of its noise."""
    own = pipeline.scheduler
    if isinstance(own, diffusers.UniPCMultistepScheduler):
        pipeline.scheduler = type(own).from_config(own.config, solver_order=1, disable_corrector=list(range(steps)))
    elif row.diffusion is not None:
        config = {name: value for name, value in own.config.items() if not name.startswith("_")}
        pipeline.scheduler = getattr(diffusers, row.diffusion).from_config(config, clip_sample=False)


def own_run(
    pipeline: Any, row: Row, shape: Shape, noise: Latents, prompt: str, steps: int, call: Mapping[str, Any]
) -> OwnRun:
    """Let a pipeline make a video of given noise.

    Args:
        pipeline: the pipeline.
        row: its family's.
        shape: size of the video.
        noise: in the legend's axes.
        prompt: what it shows.
        steps: number of steps.
        call: further arguments.
    """
    run = OwnRun(noise)

    def look(network: nn.Module, positional: tuple[Any, ...], named: Mapping[str, Any], output: Any) -> None:
        hidden = named["hidden_states"] if "hidden_states" in named else positional[0]
        run.entered.append(_turned(pipeline, row, hidden[:1].clone(), noise))  # pipelines write in place
        said = output if isinstance(output, Tensor) else output[0]
        run.left.append(_turned(pipeline, row, said[:1], noise))

    def force(network: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
        return positional, {**named, **row.fixed}

    with ExitStack() as stack:
        for network in filter(None, (getattr(pipeline, name, None) for name in NETWORKS)):
            stack.callback(network.register_forward_pre_hook(force, with_kwargs=True).remove)
            stack.callback(network.register_forward_hook(look, with_kwargs=True).remove)
        made = pipeline(
            prompt=prompt,
            num_inference_steps=steps,
            num_frames=shape.frames,
            height=shape.height,
            width=shape.width,
            latents=_given(pipeline, row, noise),
            output_type="latent",
            generator=torch.Generator().manual_seed(0),
            **call,
        ).frames
    if isinstance(pipeline, LTX2):  # gives them as its autoencoder takes them
        vae = pipeline.vae
        made = pipeline._normalize_latents(made, vae.latents_mean, vae.latents_std, vae.config.scaling_factor)
    run.latents = _turned(pipeline, row, made, noise)
    return run


def _given(pipeline: Any, row: Row, noise: Latents) -> Tensor:
    """Noise as a pipeline takes it."""
    if isinstance(pipeline, diffusers.LTX2ImageToVideoPipeline):  # as its autoencoder takes latents
        vae = pipeline.vae
        return pipeline._denormalize_latents(noise, vae.latents_mean, vae.latents_std, vae.config.scaling_factor)
    if row.axes == "bnc":
        return pipeline._pack_latents(noise, 1, 1)
    return noise.permute(*["bcfhw".index(axis) for axis in row.axes]).contiguous()


def _turned(pipeline: Any, row: Row, tensor: Tensor, like: Latents) -> Latents:
    """A pipeline's latents in the legend's axes, without channels that stand beside them."""
    if row.axes == "bnc":
        return tensor if tensor.ndim == 5 else pipeline._unpack_latents(tensor, *like.shape[2:], 1, 1)
    return tensor.permute(*[row.axes.index(axis) for axis in "bcfhw"])[:, : like.shape[1]]
