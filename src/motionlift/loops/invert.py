"""Inversion: the noise that a clean video came from, by the sampling steps backwards (DDIM inversion, Song et al., 2010.02502).

Every step asks the network for its output at the noisier level, with the latents of the cleaner one, and goes there. It is exact
where the output does not change along a step, and nears that as the steps grow finer. On models of flow the steps are Euler's,
``x' = x + (sigma' - sigma) v`` with the flow at the noisier ``sigma'``.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager

import torch

from motionlift.core.condition import Condition
from motionlift.core.cost import Step
from motionlift.core.lattice import Shape
from motionlift.core.model import Model
from motionlift.core.schedule import Level
from motionlift.core.tensors import Latents
from motionlift.core.windows import Windows
from motionlift.errors import DivergenceError
from motionlift.loops.adapters import Switch


def invert(
    model: Model,
    latents: Latents,
    condition: Condition | Sequence[Condition],
    steps: int,
    shape: Shape | None = None,
    windows: Windows | None = None,
    adapter: Switch | None = None,
) -> Generator[Step, None, tuple[Latents, ...]]:
    """Carry clean latents through all levels of a run, cleanest first; yields after every step.

    Args:
        model: the model.
        latents: clean ones.
        condition: what the video shows, encoded; not weighted against the empty prompt. Of windows, one for each.
        steps: those of the sampling that this undoes.
        shape: the video's size, by default the model's own; that of a window, where there are several.
        windows: over the video, where it is longer than the network sees.
        adapter: what is on the network meanwhile, at the levels where it says so.

    Returns:
        The latents at every level, noisiest first, as the levels of the schedule; the first are the inverted noise. Those of
        several windows lie in main memory: all levels of a long video would fill the device.

    Raises:
        DivergenceError: the latents stopped being finite.
    """
    schedule = model.schedule(steps, shape)
    trajectory: list[Latents] = []
    conditions = [condition] if isinstance(condition, Condition) else condition

    def predicted(latents: Latents, level: Level) -> Latents:
        if windows is None:
            return model.predict(latents, level, conditions[0])
        return windows.blended(latents, lambda piece, number: model.predict(piece, level, conditions[number]))

    for done, index in enumerate(reversed(range(len(schedule)))):
        level = schedule.levels[index]
        with torch.no_grad(), _adapted(model, adapter, level):
            latents = schedule.unstep(index, predicted(latents, level), latents)
        if not latents.isfinite().all():
            raise DivergenceError(f"the latents are no longer finite after inversion step {done + 1}")
        trajectory.append(latents.cpu() if windows is not None and windows.several else latents)
        yield Step("invert", done, len(schedule), latents=latents)
    return tuple(reversed(trajectory))


@contextmanager
def _adapted(model: Model, adapter: Switch | None, level: Level) -> Iterator[None]:
    """The network with an adapter until left, so that whoever takes turns with an inversion finds it bare."""
    if adapter is None:
        yield
        return
    with model.turn(), adapter.at(level):
        yield
