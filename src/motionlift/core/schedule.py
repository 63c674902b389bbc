"""Levels of noise, and the ways a network can speak of noised latents, converted once and here.

Noised latents are ``signal x0 + noise eps``. A network's output is ``a x0 + b eps``, with ``a`` and ``b`` by what it predicts:
the noise (0, 1), the clean latents (1, 0), the velocity ``v`` (-noise, signal) (Salimans and Ho, 2202.00512), or the flow (-1, 1)
(Lipman et al., 2210.02747), which some models predict the other way round (1, -1). One solution of these two equations gives
``x0`` and ``eps``, and with them every step of the first order: DDIM (Song et al., 2010.02502) where ``signal^2 + noise^2`` is one,
Euler where ``signal + noise`` is. Steps that remember others or add noise are the loop's (:mod:`motionlift.loops.samplers`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from motionlift.core.sampler_names import DIFFUSION_SAMPLERS, FLOW_SAMPLERS
from motionlift.errors import SettingError

Noised = Float[Tensor, "b ..."]
"""Latents, clean or noised, noise, or a network's output."""


@dataclass(frozen=True)
class Level:
    """A level of noise."""

    timestep: float
    """As the network is told it."""
    signal: float
    """Share of the clean latents."""
    noise: float
    """Share of the noise."""


PREDICTIONS: Mapping[str, Callable[[Level], tuple[float, float]]] = {
    "epsilon": lambda level: (0.0, 1.0),
    "sample": lambda level: (1.0, 0.0),
    "v_prediction": lambda level: (-level.noise, level.signal),
    "flow_prediction": lambda level: (-1.0, 1.0),
    "reversed_flow": lambda level: (1.0, -1.0),
}
"""Shares of clean latents and of noise in a network's output, by what it predicts; names as diffusers' schedulers have them."""

FLOWS = ("flow_prediction", "reversed_flow")
"""Those of :data:`PREDICTIONS` that are a flow."""


@dataclass(frozen=True)
class Schedule:
    """The levels of one run, noisiest first, and the arithmetic between them. It never changes."""

    levels: tuple[Level, ...]
    """Where the network is asked, one for each step."""
    ends: tuple[Level, ...]
    """Where each step ends. That is the next level, except where a scheduler strides past it."""
    trained: tuple[Level, ...]
    """Every level of training, cleanest first."""
    clean: Level
    """What the network is told of clean latents."""
    predicts: str
    """A key of :data:`PREDICTIONS`."""

    def __post_init__(self) -> None:
        if self.predicts not in PREDICTIONS:
            raise SettingError(f"a network that predicts {self.predicts!r} came; allowed are {', '.join(PREDICTIONS)}")

    def __len__(self) -> int:
        """Number of steps."""
        return len(self.levels)

    @property
    def noises(self) -> tuple[float, ...]:
        """Shares of noise of the levels, noisiest first."""
        return tuple(level.noise for level in self.levels)

    @property
    def is_flow(self) -> bool:
        """Whether the network predicts a flow, of either sign."""
        return self.predicts in FLOWS

    @property
    def samplers(self) -> tuple[str, ...]:
        """Samplers that it allows."""
        return FLOW_SAMPLERS if self.is_flow else DIFFUSION_SAMPLERS

    def noised(self, clean: Noised, noise: Noised, level: Level) -> Noised:
        """Clean latents at a level: ``signal x0 + noise eps``."""
        return level.signal * clean + level.noise * noise

    def output(self, clean: Noised, noise: Noised, level: Level) -> Noised:
        """What a perfect network says at a level: ``a x0 + b eps``."""
        of_clean, of_noise = PREDICTIONS[self.predicts](level)
        return of_clean * clean + of_noise * noise

    def estimates(self, output: Noised, latents: Noised, level: Level) -> tuple[Noised, Noised]:
        """Clean latents and noise that a network's output speaks of.

        ``x0 = (b x - noise out) / (signal b - noise a)`` and ``eps = (signal out - a x) / (signal b - noise a)``.
        """
        of_clean, of_noise = PREDICTIONS[self.predicts](level)
        whole = level.signal * of_noise - level.noise * of_clean
        return (
            (of_noise * latents - level.noise * output) / whole,
            (level.signal * output - of_clean * latents) / whole,
        )

    def step(self, index: int, output: Noised, latents: Noised) -> Noised:
        """Latents one denoising step on.

        Args:
            index: number of the step, from zero.
            output: the network's at that step's level.
            latents: at that level.
        """
        return self.noised(*self.estimates(output, latents, self.levels[index]), self.ends[index])

    def unstep(self, index: int, output: Noised, latents: Noised) -> Noised:
        """Latents before a step that led to these: :meth:`step` solved for where it began, with the same output.

        With ``s, n`` where it ended: ``x = ((signal b - noise a) x' + (s noise - n signal) out) / (s b - n a)``.
        """
        level, end = self.levels[index], self.ends[index]
        of_clean, of_noise = PREDICTIONS[self.predicts](level)
        whole = level.signal * of_noise - level.noise * of_clean
        turned = end.signal * level.noise - end.noise * level.signal
        return (whole * latents + turned * output) / (end.signal * of_noise - end.noise * of_clean)
