"""Inversion: the noise that a clean video came from, by the sampling steps backwards (DDIM inversion, Song et al., 2010.02502).

Every step asks the network for its output at the noisier level, with the latents of the cleaner one, and goes there. It is exact
where the output does not change along a step, and nears that as the steps grow finer.
"""

from collections.abc import Generator

import torch

from motionlift.core.cost import Step
from motionlift.core.model import Backbone
from motionlift.core.tensors import Latents, Text
from motionlift.errors import DivergenceError


def invert(backbone: Backbone, latents: Latents, text: Text, steps: int) -> Generator[Step, None, dict[int, Latents]]:
    """Carry clean latents through all timesteps of a run, cleanest first; yields after every step.

    Args:
        backbone: the model.
        latents: clean ones.
        text: what the video shows, encoded; not weighted against the empty prompt.
        steps: those of the sampling that this undoes.

    Returns:
        The latents at every timestep; those of the noisiest are the inverted noise.

    Raises:
        DivergenceError: the latents stopped being finite.
    """
    trajectory = {}
    for index, timestep in enumerate(reversed(backbone.timesteps(steps))):
        with torch.no_grad():
            latents = backbone.step_back(backbone.predict(latents, timestep, text), timestep, latents)
        if not latents.isfinite().all():
            raise DivergenceError(f"the latents are no longer finite after inversion step {index + 1}")
        trajectory[timestep] = latents
        yield Step("invert", index, steps, latents=latents)
    return trajectory
