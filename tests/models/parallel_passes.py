"""Passes that processes share beside those of each alone: ``torchrun ... -m tests.models.parallel_passes WORDS``.

Each process prints a line of JSON: by name, the largest difference of what a network gives, and how large that is. Then it runs the
words as a command line of motionlift.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from motionlift.cli.main import run
from motionlift.core.cost import Step
from motionlift.core.memory import Measures, Weights
from motionlift.environment import launched
from motionlift.models.shared import PipelineModel
from motionlift.work.cast import transfer
from tests.adapters import adapter_of, linear_of
from tests.adapters import outputs as adapted
from tests.twins import PICTURED, TRANSFORMERS
from tests.work.trials import a_clip

PROMPT = "a red star"
PLAIN = ("wan-2.1", "wan-2.2", "wan-2.2-ti2v", "ltx")
BEGUN = ("wan-2.1", "wan-2.2", "wan-2.2-ti2v", "ltx")
"""Twins whose videos begin with a picture."""
FP8, ADAPTED, FLOWMOTION = "wan-2.1 in fp8", "wan-2.1 with what was tuned", "wan-2.1 by flowmotion"


def outputs(model: PipelineModel) -> list[Tensor]:
    """What the network gives at its noisiest level and at its cleanest."""
    shape = model.about.shape
    levels, condition = model.schedule(4, shape).levels, model.text.encode(PROMPT, shape)
    latents = torch.randn(model.codec.latent_shape(shape), generator=torch.Generator().manual_seed(2))
    with torch.no_grad(), model.turn():
        return [model.predict(latents, level, condition) for level in (levels[0], levels[-1])]


def differences(model: PipelineModel) -> tuple[float, float]:
    """As :func:`apart_by`, of what the network gives."""
    return apart_by(outputs, model)


def apart_by(act: Callable[[PipelineModel], list[Tensor]], model: PipelineModel) -> tuple[float, float]:
    """The largest difference of what is done shared from what is done plainly, and the largest value of that.

    Plain passes stay as they were.
    """
    own = act(model)
    found = act(model.sharing(launched().processes))
    assert all(torch.equal(one, other) for one, other in zip(own, act(model), strict=True))
    apart = max((one - other).abs().max().item() for one, other in zip(own, found, strict=True))
    return apart, max(each.abs().max().item() for each in own)


def guided(model: PipelineModel) -> list[Tensor]:
    """The latents of a video whose every step FlowMotion guides."""
    latents: list[Tensor] = []

    def kept(step: Step) -> None:
        if step.phase == "sample" and step.latents is not None:
            latents.append(step.latents.float())

    settings = {"inject": False, "steps": 3, "share": 1.0, "inner": 2}
    reached: Any = model
    transfer(a_clip(), PROMPT, reached, method="flowmotion", settings=settings, cached=False, advance=kept)
    return latents


def looked_at(model: PipelineModel) -> bool:
    """Whether what looks, what is put in and what learns sees the whole, as without the others."""
    shape = model.about.shape
    level, condition = model.schedule(4, shape).levels[1], model.text.encode(PROMPT, shape)
    latents = torch.randn(model.codec.latent_shape(shape), generator=torch.Generator().manual_seed(3))
    shared, found = model.sharing(launched().processes), []
    for own in (model, shared):
        with torch.no_grad():
            record = own.record(latents, level, condition, [1])
            with own.injecting(record):
                changed = own.predict(latents.flip(3), level, condition)
        learning = latents.clone().requires_grad_(True)
        with own.turn():
            own.predict(learning, level, condition).sum().backward()
        found.append((record[1].query, changed, learning.grad))
    return all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def main() -> None:
    """Every twin of the families that can be shared, and the command line."""
    found: dict[str, object] = {name: differences(TRANSFORMERS[name].model()) for name in PLAIN}
    for name in BEGUN:
        model = PICTURED[name].model()
        shape = model.about.shape
        picture = torch.rand(1, 3, shape.height, shape.width, generator=torch.Generator().manual_seed(5))
        found[f"{name} from a picture"] = differences(model.pictured(picture))
    cast = TRANSFORMERS["wan-2.1"]
    found[FP8] = differences(
        cast.row(cast.build(), "twin", torch.device("cpu"), measures=Measures(weights=Weights.FP8))
    )
    model = TRANSFORMERS["wan-2.1"].model()
    adapter = adapter_of(linear_of(model))
    found[ADAPTED] = apart_by(lambda own: adapted(own, adapter), model)
    found[FLOWMOTION] = apart_by(guided, model)
    found["looked at"] = looked_at(TRANSFORMERS["wan-2.1"].model())
    told = json.dumps({"rank": launched().rank, "found": found})
    print(f"{told}\n", end="", flush=True)  # in one piece, since the other writes there too
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
