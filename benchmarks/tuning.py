"""Time of one tuning step of each method against a plain denoising step of the same low-rank factors, as a Markdown table.

All are measured in one process, a step of each in turn, and the least of every one is taken; MotionMatcher's paper reports 1.9
times a plain step. The last row has ZeroScope's layout at a quarter of its width, with random weights: which share of a network
comes before the published layer depends on the layout, and with it the cost.
"""

import argparse
import time
from dataclasses import replace

import torch
import torch.nn.functional as functional
from diffusers import UNet3DConditionModel

from motionlift import tune
from motionlift.adapters import tunable
from motionlift.loading import BUNDLED_MODELS, load
from motionlift.methods import method as method_named
from motionlift.zoo import tiny_unet, world

ZEROSCOPE = "zeroscope's layout, a quarter as wide"
SIDES = {ZEROSCOPE: 128}
"""Height and width of the frames in pixels, where the model's own would leave nothing at the fourth level."""


class Denoising:
    """MotionMatcher's factors, tuned by the plain squared error of the noise."""

    name = "plain"

    def __init__(self, factors):
        self.factors = factors

    def plan(self, backbone, settings):
        """The factors."""
        return self.factors.plan(backbone, settings)

    def loss(self, draw, backbone, settings):
        """Squared error of the noise."""
        noised = backbone.add_noise(draw.latents, draw.noise, draw.timestep)
        output = backbone.predict(noised, draw.timestep, draw.text)
        return functional.mse_loss(backbone.estimates(output, draw.timestep, noised)[1], draw.noise)


def zeroscope():
    """A pipeline around the published network of ZeroScope, random and narrow; its heads are a quarter as wide too."""
    torch.manual_seed(0)
    pipeline = tiny_unet.pipeline(tiny_unet.autoencoder())
    pipeline.unet = UNet3DConditionModel(
        sample_size=SIDES[ZEROSCOPE] // 4,
        in_channels=8,
        out_channels=8,
        block_out_channels=(80, 160, 320, 320),
        norm_num_groups=16,
        cross_attention_dim=pipeline.text_encoder.config.hidden_size,
        attention_head_dim=16,
    )
    return pipeline


def measure(model: str, repeats: int) -> dict[str, float]:
    """Least seconds of a step of every method."""
    backbone = load(zeroscope() if model == ZEROSCOPE else model, "cpu")
    scene = world.sample(0, 0, backbone.shape.frames)
    side = SIDES.get(model, tiny_unet.FRAME_SIZE)
    pixels = world.render([scene], side, side).frames[0].permute(0, 3, 1, 2).float() / 127.5 - 1
    latents, text = backbone.encode(pixels), backbone.text(scene.caption())
    matcher = method_named("motionmatcher")
    seconds: dict[str, list[float]] = {}
    for _ in range(repeats):
        for method in (Denoising(matcher), matcher, method_named("vmc")):
            own = matcher if method.name == "plain" else method
            settings = replace(own.settings(backbone), tuning_steps=2, source_prompt=scene.caption())
            with tunable(backbone.network, method.plan(backbone, settings), 0) as adapter:
                steps = tune.tune(
                    tune.Tuning(backbone, method, settings, adapter, latents, text, backbone.fitting(None))
                )
                next(steps)
                began = time.perf_counter()
                next(steps)
                seconds.setdefault(method.name, []).append(time.perf_counter() - began)
                steps.close()
    return {name: min(values) for name, values in seconds.items()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=[*BUNDLED_MODELS, ZEROSCOPE])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | plain step, s | motionmatcher, times a plain step | vmc, times a plain step |\n|---|---|---|---|")
    for model in arguments.models:
        found = measure(model, arguments.repeats)
        ratios = [f"{found[name] / found['plain']:.2f}" for name in ("motionmatcher", "vmc")]
        print(f"| {model} | {found['plain']:.2f} | {' | '.join(ratios)} |")


if __name__ == "__main__":
    main()
