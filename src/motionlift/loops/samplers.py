"""Samplers: how a denoising step is taken, once the network has spoken of clean latents ``x0`` and noise ``eps``.

A step goes from a level ``(s, n)`` to an end ``(s', n')``. With ``lambda = log(s / n)``, ``h = lambda' - lambda`` and
``c = exp(-h) = s n' / (n s')`` all of them are one formula::

    x' = s' x0 + n' (k eps + sqrt(1 - k^2) z) + s' (1 - c k) h / (2 h_before) (x0 - x0_before)

``k`` is 1 where the noise is kept, and ``c`` where fresh noise ``z`` takes the place of a part of it. The last term is the second
order: it needs what the network said a step before. So ``k = 1`` without it is DDIM (2010.02502), and Euler of flows; ``k = c``
without it DDPM (2006.11239, with the variance that diffusers calls ``fixed_small``); with it they are DPM-Solver++ 2M and its
stochastic form (2211.01095), of which the latter is CogVideoX-5B's own. UniPC (2302.04867, B2, second order) takes the step of 2M,
and once the network has spoken at its end, takes it again with what it said (:meth:`Sampler._corrected`).

Levels are those of the model's schedule, whichever the sampler, so that noise of an inversion serves them all. What is remembered
lies in the loop, so that several loops may take turns. Fresh noise follows from seed and step alone. The first step, the last, and
one after a level without any signal are of the first order; the last adds no noise. Latents that guidance has moved since the step
before are not corrected, which would undo it.
"""

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from motionlift.core.schedule import Level, Schedule
from motionlift.core.tensors import Latents

ANCESTRAL = ("ddpm", "dpm-sde")
"""Samplers that add fresh noise."""
SECOND_ORDER = ("dpm", "dpm-sde", "unipc")
"""Samplers that remember what the network said."""
CORRECTING = ("unipc",)
"""Samplers that take a step again once the network has spoken at its end."""
REMEMBERED = 2
"""Steps that any of them remembers."""


@dataclass(frozen=True)
class Taken:
    """A step that was taken."""

    index: int
    """Its number."""
    latents: Latents
    """Where it began."""
    clean: Latents
    """Clean latents that the network spoke of there."""
    is_second: bool
    """Whether it was of the second order."""


@dataclass(frozen=True)
class Sampler:
    """A sampler of one run. It holds no state: what it is to remember is handed back and forth."""

    name: str
    """One of those that the schedule allows."""
    schedule: Schedule
    """The levels."""
    seed: int
    """Seed of fresh noise."""

    def step(
        self,
        index: int,
        latents: Latents,
        clean: Latents,
        noise: Latents,
        taken: tuple[Taken, ...],
        moved: bool = False,
    ) -> tuple[Latents, tuple[Taken, ...]]:
        """Latents a step on, and what is to be remembered for the next.

        Args:
            index: number of the step.
            latents: at its level.
            clean: clean latents that the network speaks of there.
            noise: noise that it speaks of.
            taken: what was handed back by the last step.
            moved: whether the latents were changed since that step.
        """
        level, end = self.schedule.levels[index], self.schedule.ends[index]
        is_last = index == len(self.schedule) - 1
        before = taken[-1] if taken and taken[-1].index == index - 1 and self.name in SECOND_ORDER else None
        if before is not None and self.name in CORRECTING and not moved:
            latents = self._corrected(before, taken, clean)
            noise = (latents - level.signal * clean) / level.noise
        carried = _carried(level, end)
        kept = carried if self.name in ANCESTRAL and not is_last else 1.0
        found = end.signal * clean + end.noise * kept * noise
        if kept < 1:
            found = found + end.noise * (1 - kept**2) ** 0.5 * self._fresh(index, latents)
        is_second = before is not None and not is_last and self.schedule.levels[before.index].signal > 0
        if before is not None and is_second:
            ratio = _width(level, end) / _width(self.schedule.levels[before.index], level)
            found = found + end.signal * (1 - carried * kept) * ratio / 2 * (clean - before.clean)
        return found, (*taken, Taken(index, latents, clean, is_second))[-REMEMBERED:]

    def _corrected(self, last: Taken, taken: tuple[Taken, ...], clean: Latents) -> Latents:
        """Where a step led, with what the network says at its end.

        ``x = (n' / n) x_before + s' (1 - c) (m + r (m_before - m) / q + p (x0 - m))``, with ``m`` what it said where the step began
        and ``q = -h_before / h``. Of the first order ``p = 1/2`` and ``r = 0``. Of the second ``r + p = b1`` and ``q r + p = b2``,
        with ``phi = exp(-h) - 1``, ``b1 = (phi / -h - 1) / phi`` and ``b2 = 2 ((phi / -h - 1) / -h - 1/2) / phi``.
        """
        level, end = self.schedule.levels[last.index], self.schedule.ends[last.index]
        change = (clean - last.clean) / 2
        if last.is_second:
            width, before = _width(level, end), taken[-2]
            share = -_width(self.schedule.levels[before.index], level) / width
            phi = math.expm1(-width)
            first = (phi / -width - 1) / phi
            second = 2 * ((phi / -width - 1) / -width - 0.5) / phi
            old = (first - second) / (1 - share)
            change = old * (before.clean - last.clean) / share + (first - old) * (clean - last.clean)
        carried = _carried(level, end)
        return end.noise / level.noise * last.latents + end.signal * (1 - carried) * (last.clean + change)

    def _fresh(self, index: int, like: Tensor) -> Tensor:
        """Noise of a step, drawn on the CPU, so that a seed means the same everywhere."""
        digest = hashlib.sha256(repr(("sample", self.seed, index)).encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:6], "big"))
        return torch.randn(like.shape, generator=generator).to(like)


def _carried(level: Level, end: Level) -> float:
    """``exp(-h)``: what a step leaves of the ratio of noise to signal."""
    return level.signal * end.noise / (level.noise * end.signal)


def _width(level: Level, end: Level) -> float:
    """``h``: by how much a step raises the logarithm of signal over noise."""
    return math.log(end.signal / end.noise) - math.log(level.signal / level.noise)
