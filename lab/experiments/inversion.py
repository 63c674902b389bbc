"""What inversion loses: references inverted and sampled back, over the number of steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from motionlift.bench.references import bundled, clip_of, reference
from motionlift.bench.report.tables import interval, table
from motionlift.core.tensors import INVERTED
from motionlift.work.cast import cast
from motionlift.work.lift import lift

NAME = "inversion"
COUNT = 8
STEPS = (10, 20, 30, 50, 100)
"""Steps of inversion and sampling."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each reference and number of steps."""
    return [{"index": index, "method": "none", "steps": steps} for index in range(count) for steps in STEPS]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Invert with the caption, sample back from the inverted noise with it and a prompt weight of one, and compare frames."""
    backbone = bundled(model)
    scene = reference(cell["index"], backbone.about.shape.frames)
    settings = {"inversion": True, "source_prompt": scene.caption(), "beta": 1.0, "steps": cell["steps"], "cfg": 1.0}
    motion = lift(clip_of(scene, backbone.about.fps), backbone, "none", settings=settings, cached=False)
    made = cast(motion, scene.caption(), backbone).clip.frames.float()
    kept = (backbone.codec.decode(motion.tensors["latents"]).permute(0, 2, 3, 1) + 1) * 127.5
    squared = float((made - kept).square().mean()) / 255**2
    return {
        "psnr": -10 * float(torch.tensor(max(squared, 1e-12)).log10()),
        "noise_deviation": float(motion.tensors[INVERTED].std()),
    }


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every number of steps."""
    rows = []
    for steps in STEPS:
        found = [record for record in records if record["steps"] == steps]
        figures = [interval([record[key] for record in found], digits=2) for key in ("psnr", "noise_deviation")]
        rows.append([str(steps), *figures])
    references = len({record["index"] for record in records})
    return (
        f"## Inversion\n\n{references} references inverted with their captions and sampled back with as many steps and a prompt "
        "weight of one: peak signal-to-noise ratio in dB against the same latents decoded without the round trip, and the standard "
        "deviation of the inverted noise, which is one for true noise.\n\n"
        + table(["steps", "PSNR, dB", "deviation of the noise"], rows)
    )
