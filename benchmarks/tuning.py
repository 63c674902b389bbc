"""Time of one tuning step of each method against a plain denoising step of the same low-rank factors, as a Markdown table.

All are measured in one process and thread, by its seconds of the processor, steps of each in turn, and the least of every one is
taken; MotionMatcher's paper reports 1.9 times a plain step. The last rows are of ZeroScope's network in its full width, with random
weights, on few and small frames: which share of a network comes before the published layers depends on the layout, and with it the
cost. Large models recompute activations in backward, as the last row does; the row before it is of the same network with all
activations kept.
"""

import argparse
import time
from dataclasses import replace

import torch
import torch.nn.functional as functional
from diffusers import UNet3DConditionModel

from lab.training import tiny_unet
from motionlift.loops import tune
from motionlift.loops.adapters import Tunable
from motionlift.methods import method as method_named
from motionlift.models.loading import load
from motionlift.models.sources import BUNDLED_MODELS
from motionlift.world import scenes

ZEROSCOPE, KEPT = "zeroscope", "zeroscope, activations kept"
SIDE, FRAMES = 96, 4
"""Height and width of its frames in pixels, a lattice of 24x24 to the small autoencoder, and their number: at the true 16 frames of
48x48 a step would take sixteen times longer."""


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
        noised = draw.schedule.noised(draw.latents, draw.noise, draw.level)
        output = backbone.predict(noised, draw.level, draw.condition)
        return functional.mse_loss(draw.schedule.estimates(output, noised, draw.level)[1], draw.noise)

    def losses(self, draw, backbone, settings):
        """That alone."""
        yield self.loss(draw, backbone, settings)


MATCHER = method_named("motionmatcher")
FAST = "motionmatcher, preset=fast"
WAYS = {"plain": Denoising(MATCHER), "motionmatcher": MATCHER, FAST: MATCHER, "vmc": method_named("vmc")}
"""What is measured, by its title."""


def zeroscope():
    """A pipeline around the published network of ZeroScope, with random weights, and the small autoencoder's channels."""
    torch.manual_seed(0)
    pipeline = tiny_unet.pipeline(tiny_unet.autoencoder())
    pipeline.unet = UNet3DConditionModel(
        sample_size=SIDE // 4,
        in_channels=8,
        out_channels=8,
        cross_attention_dim=pipeline.text_encoder.config.hidden_size,
    )
    return pipeline


def loaded(model: str):
    """The model, its size of a reference, and the reference's pixels and caption."""
    if model not in (ZEROSCOPE, KEPT):
        backbone = load(model)
        frames, side = backbone.about.shape.frames, tiny_unet.FRAME_SIZE
    else:
        backbone = load(zeroscope(), "cpu")
        frames, side = FRAMES, SIDE
        backbone._recomputation.on = model == ZEROSCOPE
    scene = scenes.sample(0, 0, frames)
    pixels = scenes.render([scene], side, side).frames[0].permute(0, 3, 1, 2).float() / 127.5 - 1
    return backbone, backbone.codec.fitting(frames), pixels, scene.caption()


def measure(model: str, repeats: int) -> dict[str, float]:
    """Least seconds of a step of every method."""
    backbone, shape, pixels, caption = loaded(model)
    latents, text = backbone.codec.encode(pixels), backbone.text.encode(caption)
    seconds: dict[str, list[float]] = {}
    for _ in range(repeats):
        for title, method in WAYS.items():
            own = MATCHER if title == "plain" else method
            preset = "fast" if title == FAST else "ours"
            settings = replace(own.with_preset(preset, backbone), tuning_steps=2, source_prompt=caption)
            with backbone.turn():
                adapter = Tunable(backbone.network, method.plan(backbone, settings), 0)
            steps = tune.tune(tune.Tuning(backbone, method, settings, adapter, latents, text, shape))
            for _ in range(settings.tuning_steps):
                began = time.process_time()
                next(steps)
                seconds.setdefault(title, []).append(time.process_time() - began)
            steps.close()
    return {name: min(values) for name, values in seconds.items()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=[*BUNDLED_MODELS, KEPT, ZEROSCOPE])
    parser.add_argument("--repeats", type=int, default=5, help="of the bundled models; ZeroScope, far slower, has one")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    head = ["model", "plain step, s", *[f"{title}, times a plain step" for title in WAYS if title != "plain"]]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for model in arguments.models:
        found = measure(model, arguments.repeats if model in BUNDLED_MODELS else 1)
        ratios = [f"{found[name] / found['plain']:.2f}" for name in WAYS if name != "plain"]
        print(f"| {model} | {found['plain']:.2f} | {' | '.join(ratios)} |")


if __name__ == "__main__":
    main()
