"""Noised latents and the ways a network can speak of them, converted once and here.

With cumulative signal ``a`` a noised latent is ``x_t = sqrt(a) x0 + sqrt(1 - a) eps``; the velocity is
``v = sqrt(a) eps - sqrt(1 - a) x0`` (Salimans and Ho, 2202.00512).
"""

from dataclasses import dataclass

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
