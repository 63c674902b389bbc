"""What the library computes is what plain numpy makes of the published formulas."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from motionlift.core.lattice import Lattice
from motionlift.core.schedule import Level, Schedule
from motionlift.loops.samplers import Sampler, Taken
from motionlift.measure.discrepancy import motion_discrepancy
from motionlift.measure.fidelity import motion_fidelity
from motionlift.methods.flowmotion import FlowMotionSettings, damped, guidance_loss
from motionlift.methods.motiondirector import motion_loss
from motionlift.methods.motionmatcher import Features, MotionMatcherSettings, feature_loss
from motionlift.models.schedules import mixed_noise
from motionlift.signals.attention_maps import (
    adaptive_mask,
    cross_loss,
    cross_probabilities,
    temporal_probabilities,
)
from motionlift.signals.displacement import displacement, displacement_loss
from motionlift.signals.features import (
    moft_loss,
    motion_channels,
    motion_features,
    released_smm_loss,
    smm_loss,
    spatial_mean_differences,
    spatial_means,
)
from motionlift.signals.residuals import residual_loss
from tests.golden import made as golden

FROZEN: Mapping[str, list[float]] = json.loads(golden.NUMBERS.read_text())
LATTICE = Lattice(golden.FRAMES, golden.HEIGHT, golden.WIDTH)
CLOSE = 2e-5
"""What single precision may lead to, in which features and attention are computed."""


def tensor(start: float, *sizes: int) -> Tensor:
    return torch.from_numpy(golden.made(start, *sizes))


def level(signal: float) -> Level:
    return Level(0.0, signal, math.sqrt(1 - signal**2))


SCHEDULE = Schedule(
    levels=tuple(map(level, golden.SIGNALS)),
    ends=(*map(level, golden.SIGNALS[1:]), Level(0.0, 1.0, 0.0)),
    trained=(level(0.5),),
    clean=Level(0.0, 1.0, 0.0),
    predicts="epsilon",
)


class Given(Sampler):
    """A sampler whose noise is given."""

    def _fresh(self, index: int, like: Tensor) -> Tensor:
        return tensor(10.0, *golden.LATENTS)


def step(name: str, clean: Tensor | None = None, before: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
    """The second step of the run."""
    latents, at = tensor(9.0, *golden.LATENTS), SCHEDULE.levels[1]
    if noise is None:
        assert clean is not None
        noise = (latents - at.signal * clean) / at.noise
    clean = (latents - at.noise * noise) / at.signal if clean is None else clean
    taken = () if before is None else (Taken(0, latents, before, False),)
    return Given(name, SCHEDULE, 0).step(1, latents, clean, noise, taken)[0]


def corrected(first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """The end of the second step, once the network has spoken there."""
    latents = tensor(9.0, *golden.LATENTS)
    taken = (Taken(0, latents, first, False), Taken(1, latents, second, True))
    return Sampler("unipc", SCHEDULE, 0)._corrected(taken[-1], taken, third)


def computed() -> Mapping[str, Callable[[], Any]]:
    """The same formulas by the library."""
    sizes = golden.HEADS, golden.FRAMES * golden.AREA, golden.SIZE
    query, key, other = tensor(1.0, *sizes), tensor(2.0, *sizes), tensor(6.0, *sizes)
    text = tensor(5.0, golden.HEADS, golden.TEXT, golden.SIZE)
    reference, generated = (torch.from_numpy(golden.features(start)).flatten(0, 1) for start in (7.0, 8.0))
    predicted, true = map(torch.from_numpy, golden.noises())
    latents, fresh, first, second, third = (tensor(start, *golden.LATENTS) for start in (9.0, 10.0, 11.0, 12.0, 13.0))
    maps = [torch.from_numpy(golden.word_maps(start)) for start in (14.0, 15.0)]
    points = [torch.from_numpy(golden.tracks(start)) for start in (16.0, 17.0)]

    def hard() -> Tensor:
        return displacement(query, key, LATTICE, hard=True)

    def soft() -> Tensor:
        return displacement(other, key, LATTICE, 2.0)

    def matched(asking: Tensor) -> Features:
        return Features(cross_probabilities(asking, text), temporal_probabilities(asking, key, LATTICE))

    def moft() -> Tensor:
        channels = motion_channels(reference, LATTICE, 3 / golden.CHANNELS)
        own, wanted = (motion_features(each, LATTICE)[:, channels] for each in (generated, reference))
        return moft_loss(own, wanted)

    return {
        "ditflow: displacement, hard": hard,
        "ditflow: displacement, soft": soft,
        "ditflow: loss": lambda: displacement_loss(soft(), hard()),
        "smm: released": lambda: released_smm_loss(
            spatial_means(generated, LATTICE), spatial_means(reference, LATTICE)
        ),
        "smm: own": lambda: smm_loss(generated, spatial_mean_differences(reference, LATTICE), LATTICE),
        "moft: channels": lambda: motion_channels(reference, LATTICE, 3 / golden.CHANNELS),
        "moft: loss": moft,
        "vmc: cos": lambda: residual_loss(predicted, true, "cos"),
        "vmc: l2": lambda: residual_loss(predicted, true, "l2"),
        "vmc: released": lambda: residual_loss(predicted, true, "released"),
        "motionmatcher: attention to words": lambda: cross_probabilities(query, text),
        "motionmatcher: attention over time": lambda: temporal_probabilities(query, key, LATTICE),
        "motionmatcher: loss": lambda: feature_loss([matched(query)], [matched(other)], MotionMatcherSettings()),
        "motionmatcher: starting noise": lambda: mixed_noise(latents, fresh, 0.3),
        "motionflow: masks": lambda: adaptive_mask(maps[0], 0.4),
        "motionflow: cross loss": lambda: cross_loss(maps[1], adaptive_mask(maps[0], 0.4)),
        "motiondirector: loss": lambda: motion_loss(predicted, true, 1, 1.0),
        "flowmotion: loss": lambda: guidance_loss(first, second, FlowMotionSettings()),
        "flowmotion: velocity": lambda: damped(first, second, 0.1),
        "ddim: step": lambda: step("ddim", noise=true),
        "ddpm: step": lambda: step("ddpm", noise=true),
        "dpm: step": lambda: step("dpm", second, first),
        "dpm-sde: step": lambda: step("dpm-sde", second, first),
        "unipc: correction": lambda: corrected(first, second, third),
        "motion fidelity": lambda: motion_fidelity(points[0], points[1]),
        "motion discrepancy": lambda: motion_discrepancy(points[0], points[1], 40, 64),
    }


def test_the_script_that_made_the_numbers_makes_them_still():
    again = golden.measured()
    assert again.keys() == FROZEN.keys() == computed().keys()
    for name, values in FROZEN.items():
        assert again[name] == pytest.approx(values, rel=1e-8, abs=1e-8), name


@pytest.mark.parametrize("name", FROZEN)
def test_the_library_computes_what_is_published(name: str):
    found = computed()[name]()
    values = found.detach().double().numpy() if isinstance(found, Tensor) else np.asarray(found)
    assert golden.checksum(values) == pytest.approx(FROZEN[name], rel=CLOSE, abs=CLOSE)
