"""Noised latents and the ways a network can speak of them, converted once and here.

With cumulative signal ``a`` a noised latent is ``x_t = sqrt(a) x0 + sqrt(1 - a) eps``; the velocity is
``v = sqrt(a) eps - sqrt(1 - a) x0`` (Salimans and Ho, 2202.00512).
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class NoiseSchedule:
    """The cumulative signal at every timestep of a diffusion model."""

    alphas: Float[Tensor, " timesteps"]
    """Cumulative product of the alphas, clean end first."""

    def _weights(self, timestep: Int[Tensor, " b"] | int, like: Tensor) -> tuple[Tensor, Tensor]:
        index = torch.as_tensor(timestep, device=self.alphas.device).reshape(-1)
        signal = self.alphas[index].to(like.device, torch.float32).reshape(-1, *[1] * (like.ndim - 1))
        return signal.sqrt(), (1 - signal).sqrt()

    def add_noise(
        self, clean: Float[Tensor, "b ..."], noise: Float[Tensor, "b ..."], timestep: Int[Tensor, " b"] | int
    ) -> Float[Tensor, "b ..."]:
        """``x_t`` of clean latents and noise."""
        signal, spread = self._weights(timestep, clean)
        return signal * clean + spread * noise

    def velocity(
        self, clean: Float[Tensor, "b ..."], noise: Float[Tensor, "b ..."], timestep: Int[Tensor, " b"] | int
    ) -> Float[Tensor, "b ..."]:
        """``v`` of clean latents and noise."""
        signal, spread = self._weights(timestep, clean)
        return signal * noise - spread * clean

    def clean(
        self, noised: Float[Tensor, "b ..."], velocity: Float[Tensor, "b ..."], timestep: Int[Tensor, " b"] | int
    ) -> Float[Tensor, "b ..."]:
        """``x0`` of noised latents and their velocity."""
        signal, spread = self._weights(timestep, noised)
        return signal * noised - spread * velocity

    def estimates(
        self, noised: Float[Tensor, "b ..."], output: Float[Tensor, "b ..."], timestep: int, predicts: str
    ) -> tuple[Float[Tensor, "b ..."], Float[Tensor, "b ..."]]:
        """``x0`` and ``eps`` that a network's output speaks of.

        From predicted noise ``x0 = (x_t - sqrt(1 - a) eps) / sqrt(a)``; from velocity ``eps = sqrt(1 - a) x_t + sqrt(a) v``.

        Args:
            noised: latents at the timestep.
            output: the network's output there.
            timestep: the timestep.
            predicts: ``epsilon`` or ``v_prediction``, as diffusers' schedulers name it.
        """
        signal, spread = self._weights(timestep, noised)
        if predicts == "epsilon":
            return (noised - spread * output) / signal, output
        return self.clean(noised, output, timestep), spread * noised + signal * output


def mixed_noise(inverted: Float[Tensor, "b ..."], fresh: Float[Tensor, "b ..."], beta: float) -> Float[Tensor, "b ..."]:
    """``sqrt(beta) inverted + sqrt(1 - beta) fresh`` (MotionMatcher): of unit variance where both are."""
    return beta**0.5 * inverted + (1 - beta) ** 0.5 * fresh


def euler_step(
    latents: Float[Tensor, "b ..."], velocity: Float[Tensor, "b ..."], start: float, end: float
) -> Float[Tensor, "b ..."]:
    """One Euler step of a flow model from one noise level to another, ``x + (end - start) v``, either way.

    A step back is the same with the levels exchanged: exact where the velocity is that of the step undone.
    """
    return latents + (end - start) * velocity


def signals_of_step(scheduler: Any, timestep: int) -> tuple[float, float]:
    """Cumulative signal where a DDIM step from a timestep ends, and where it began, by one of diffusers' schedulers."""
    alphas = scheduler.alphas_cumprod
    cleaner = timestep - len(alphas) // scheduler.num_inference_steps
    signal = alphas[cleaner] if cleaner >= 0 else scheduler.final_alpha_cumprod
    return float(signal), float(alphas[timestep])


def undone_step(
    latents: Float[Tensor, "b ..."], output: Float[Tensor, "b ..."], signals: tuple[float, float], predicts: str
) -> Float[Tensor, "b ..."]:
    """Latents before a DDIM step that led to these: the step solved for where it began, with the same output.

    A step with predicted noise goes to ``sqrt(a) (x_t - sqrt(1 - a_t) eps) / sqrt(a_t) + sqrt(1 - a) eps``; with predicted
    velocity to ``cos x_t - sin v``, of the angle between both levels, ``tan = sqrt((1 - a) / a)`` each.

    Args:
        latents: where the step ended.
        output: the network's output in that step.
        signals: cumulative signal ``a`` where the step ended, and ``a_t`` where it began.
        predicts: ``epsilon`` or ``v_prediction``, as diffusers' schedulers name it.
    """
    signal, before = (value**0.5 for value in signals)
    spread, spread_before = ((1 - value) ** 0.5 for value in signals)
    if predicts == "epsilon":
        return before / signal * (latents - spread * output) + spread_before * output
    cosine = signal * before + spread * spread_before
    sine = signal * spread_before - spread * before
    return (latents + sine * output) / cosine
