"""The bundled stage of a cascade that doubles rows and columns."""

from collections.abc import Generator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from motionlift.core.cost import Passes, Step
from motionlift.core.lattice import Shape
from motionlift.errors import ModelError, SettingError
from motionlift.loops.cascade import Stage, check_number, windows
from motionlift.models.loading import device_named
from motionlift.models.quiet import quiet
from motionlift.models.sources import BUNDLED
from motionlift.video.clip import Clip
from motionlift.video.limits import check_bytes, check_side
from motionlift.world import upscaler


@dataclass(frozen=True)
class SuperResolution:
    """Twice as many rows and columns, by the bundled diffusion model; windows are tied by the frame they share."""

    network: Any = field(repr=False)
    """A network as :func:`motionlift.world.upscaler.network` makes it."""
    scheduler: Any = field(repr=False)
    """Its scheduler."""
    steps: int = 10
    """Denoising steps (ours)."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """Where it runs."""
    passes: Passes = field(default_factory=Passes)
    """How often its network ran so far."""
    name: str = "super-resolution"

    def run(self, clip: Clip, prompt: str, seed: int) -> Generator[Step, None, Clip]:
        """The clip with twice the rows and columns; the prompt is not read.

        Raises:
            SettingError: as :meth:`shaped`.
        """
        self.shaped(Shape(*clip.frames.shape[:3]), clip.fps, prompt)
        self.network.to(self.device)
        base = upscaler.enlarged(clip.pixels().transpose(0, 1)[None]).to(self.device)
        spans = windows(len(clip.frames), upscaler.WINDOW)
        made = torch.zeros_like(base)
        scheduler = deepcopy(self.scheduler)  # it keeps the steps of its run, and runs may take turns
        scheduler.set_timesteps(self.steps)
        for number, (start, end) in enumerate(spans):
            known = made[:, :, start : start + 1] if number else None
            part = yield from self._window(scheduler, base[:, :, start:end], known, seed + number, (number, len(spans)))
            made[:, :, start:end] = part
        return replace(Clip.from_pixels(made[0].transpose(0, 1).cpu(), clip.fps), notices=clip.notices)

    def shaped(self, shape: Shape, fps: float, prompt: str) -> tuple[Shape, float]:
        """Twice the rows and columns.

        Raises:
            SettingError: rows or columns that the network cannot halve, frames too large, or steps out of range.
        """
        factor = upscaler.FACTOR
        multiple = 2 ** (len(upscaler.WIDTHS) - 1) * upscaler.PATCH // factor
        if shape.height % multiple or shape.width % multiple:
            raise SettingError(
                f"frames of {shape.width}x{shape.height} cannot be enlarged; sides must be multiples of {multiple}"
            )
        check_number("number of steps", self.steps, (1, self.scheduler.config.num_train_timesteps))
        made = Shape(shape.frames, factor * shape.height, factor * shape.width)
        check_side("height of the enlarged frames", made.height)
        check_side("width of the enlarged frames", made.width)
        check_bytes(made.frames, made.height, made.width)
        return made, fps

    def counted(self) -> "SuperResolution":
        """A view of the same stage that counts its passes from zero."""
        return replace(self, passes=Passes())

    def _window(
        self, scheduler: Any, base: Tensor, known: Tensor | None, seed: int, place: tuple[int, int]
    ) -> Generator[Step, None, Tensor]:
        """One window; where its first frame is known it is given, and kept."""
        spread = upscaler.SPREAD
        given, mask = torch.zeros_like(base), torch.zeros(1, base.shape[2], dtype=torch.bool, device=self.device)
        if known is not None:
            given[:, :, :1], mask[:, 0] = (known - base[:, :, :1]) / spread, True
        generator = torch.Generator().manual_seed(seed)
        latents = torch.randn(upscaler.folded(base).shape, generator=generator).to(self.device)
        for index, timestep in enumerate(scheduler.timesteps):
            with torch.no_grad():
                when = timestep.expand(1).to(self.device)
                output = upscaler.residual(self.network, latents, when, base, given, mask)
            self.passes.ran(1)
            latents = scheduler.step(output, timestep, latents, return_dict=False)[0]
            yield Step(self.name, place[0] * self.steps + index, place[1] * self.steps)
        made = (base + spread * upscaler.unfolded(latents)).clamp(-1, 1)
        if known is not None:
            made[:, :, :1] = known
        return made


UPSCALER = "tiny-upscaler"
"""Folder of the bundled super-resolution stage."""


@quiet()
def super_resolution(device: str = "auto") -> Stage:
    """The bundled stage that doubles rows and columns.

    Raises:
        ModelError: its weights are damaged.
        SettingError: the device does not exist here.
    """
    from diffusers import DDIMScheduler, UNet3DConditionModel

    folder = BUNDLED / UPSCALER
    try:
        network: Any = UNet3DConditionModel.from_pretrained(folder, subfolder="unet", use_safetensors=True)
        scheduler = DDIMScheduler.from_pretrained(folder, subfolder="scheduler")
    except Exception as error:  # damaged files make the libraries raise errors of every kind
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"the bundled {UPSCALER} is incomplete or damaged: {reason}; install motionlift again"
        ) from error
    return SuperResolution(network.float().eval().requires_grad_(False), scheduler, device=device_named(device))
