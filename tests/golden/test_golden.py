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
from motionlift.core.presets import READING
from motionlift.core.schedule import Level, Schedule
from motionlift.core.settings import with_values
from motionlift.loops.sample import guidance_scale, guided_steps, learning_rate
from motionlift.loops.samplers import Sampler, Taken
from motionlift.measure.alignment import Alignment, ClipModel, clip_alignment
from motionlift.measure.discrepancy import motion_discrepancy
from motionlift.measure.fidelity import motion_fidelity
from motionlift.methods.ditflow import PUBLISHED, DiTFlowSettings
from motionlift.methods.flowmotion import FlowMotionSettings, damped, guidance_loss
from motionlift.methods.motiondirector import motion_loss
from motionlift.methods.motionmatcher import Features, MotionMatcherSettings, feature_loss
from motionlift.models.schedules import mixed_noise
from motionlift.signals.attention_maps import (
    adaptive_mask,
    cross_loss,
    cross_probabilities,
    self_loss,
    smoothed,
    spatial_probabilities,
    temporal_loss,
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


FLOWING = Schedule(
    levels=tuple(Level(0.0, signal, 1 - signal) for signal in golden.SIGNALS),
    ends=tuple(Level(0.0, signal, 1 - signal) for signal in (*golden.SIGNALS[1:], 1.0)),
    trained=(Level(0.5, 0.5, 0.5),),
    clean=Level(0.0, 1.0, 0.0),
    predicts="flow_prediction",
)
"""The same shares of a flow, whose sigmas are what is left of one."""


class Given(Sampler):
    """A sampler whose noise is given."""

    def _fresh(self, index: int, like: Tensor) -> Tensor:
        return tensor(10.0, *golden.LATENTS)


def step(
    name: str,
    clean: Tensor | None = None,
    before: Tensor | None = None,
    noise: Tensor | None = None,
    moved: bool = False,
) -> Tensor:
    """The second step of the run; where latents were moved before it, without what is corrected of the first."""
    latents, at = tensor(9.0, *golden.LATENTS), SCHEDULE.levels[1]
    if noise is None:
        assert clean is not None
        noise = (latents - at.signal * clean) / at.noise
    clean = (latents - at.noise * noise) / at.signal if clean is None else clean
    taken = () if before is None else (Taken(0, latents, before, False),)
    return Given(name, SCHEDULE, 0).step(1, latents, clean, noise, taken, moved)[0]


def corrected(first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """The end of the second step, once the network has spoken there."""
    latents = tensor(9.0, *golden.LATENTS)
    taken = (Taken(0, latents, first, False), Taken(1, latents, second, True))
    return Sampler("unipc", SCHEDULE, 0)._corrected(taken[-1], taken, third)


class Embedding:
    """A CLIP network, its tokenizer and its processor, whose embeddings are known by the frames' numbers."""

    def __call__(self, given: Any = None, images: Any = (), **_: Any) -> Mapping[str, Tensor]:
        return {} if given is not None else {"pixel_values": torch.tensor([int(image[0, 0, 0]) for image in images])}

    def get_text_features(self) -> Tensor:
        return torch.from_numpy(golden.embeddings()[1])[None]

    def get_image_features(self, pixel_values: Tensor) -> Tensor:
        return torch.from_numpy(golden.embeddings()[0])[pixel_values]


def aligned() -> Alignment:
    """What the library says of frames of those embeddings."""
    model = object.__new__(ClipModel)
    model._model = model._tokenizer = model._processor = Embedding()
    frames = [np.full((2, 2, 3), number, np.uint8) for number in range(len(golden.embeddings()[0]))]
    return clip_alignment(frames, model, "a prompt")


def rates() -> list[float]:
    """Learning rates of DiTFlow's released preset, in the steps that it guides."""
    constants = PUBLISHED["released"].of("cogvideox", "cogvideox-5b")
    values = {name: own.value for name, own in constants.items() if name not in READING}
    settings = with_values(DiTFlowSettings(), values)
    return [learning_rate(settings, index) for index in range(guided_steps(settings))]


def guidance_scales() -> list[float]:
    """At the trailing timesteps of 50 steps."""
    settings = DiTFlowSettings(steps=50, cfg=7.0, dynamic_cfg=True)
    return [guidance_scale(settings, Level(float(timestep), 0.6, 0.8)) for timestep in range(999, 0, -20)]


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
    resting = [torch.from_numpy(golden.resting_tracks(start, own)) for start, own in ((16.0, 0), (17.0, 2))]
    some = torch.from_numpy(golden.some_masks(golden.word_maps(14.0)))

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
        "ditflow: learning rates": rates,
        "cogvideox-5b: guidance scales": guidance_scales,
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
        "motionflow: smoothing": lambda: smoothed(maps[0]),
        "motionflow: attention within frames": lambda: spatial_probabilities(query, key, LATTICE),
        "motionflow: self loss": lambda: self_loss(spatial_probabilities(query, key, LATTICE), some),
        "motionflow: temporal loss": lambda: temporal_loss(
            temporal_probabilities(query, key, LATTICE), temporal_probabilities(other, key, LATTICE), some
        ),
        "motiondirector: loss": lambda: motion_loss(predicted, true, 1, 1.0),
        "flowmotion: loss": lambda: guidance_loss(first, second, FlowMotionSettings()),
        "flowmotion: velocity": lambda: damped(first, second, 0.1),
        "ddim: step": lambda: step("ddim", noise=true),
        "ddim: inversion": lambda: SCHEDULE.unstep(1, true, latents),
        "euler: step": lambda: FLOWING.step(1, true, latents),
        "euler: inversion": lambda: FLOWING.unstep(1, true, latents),
        "ddpm: step": lambda: step("ddpm", noise=true),
        "dpm: step": lambda: step("dpm", second, first),
        "dpm-sde: step": lambda: step("dpm-sde", second, first),
        "unipc: step": lambda: step("unipc", second, first, moved=True),
        "unipc: correction": lambda: corrected(first, second, third),
        "motion fidelity": lambda: motion_fidelity(points[0], points[1]),
        "motion fidelity where points stand": lambda: motion_fidelity(resting[0], resting[1]),
        "motion fidelity, older script": lambda: motion_fidelity(points[0], points[1], legacy=True),
        "clip: text": lambda: aligned().text,
        "clip: frames": lambda: aligned().frames,
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
