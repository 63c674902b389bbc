"""What is frozen: losses and latents of every method on every twin, a cascade, and a score, as numbers that can be compared.

Run as a program, it writes ``numbers.json`` anew: ``python -m tests.frozen.measured``. That is for a bug that was mended,
whose commit says which number changed and why.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import motionlift
from motionlift import Clip
from tests.twins import EVERY_TWIN

NUMBERS = Path(__file__).parent / "numbers.json"
"""Where the numbers lie."""
PROMPT = "a red star on the field"
SOURCE = {"source_prompt": "a blue ring on the field"}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "motionflow": {**SOURCE, "subjects": ("ring",), "targets": ("star",)},
    "inverted": SOURCE,
    "moft": {"channel_share": 0.2},
    "vmc": {**SOURCE, "tuning_steps": 2, "tuning_lr": 0.001, "reduced": False},
    "motionmatcher": {**SOURCE, "tuning_steps": 2, "tuning_lr": 0.001},
    "motiondirector": {**SOURCE, "tuning_steps": 2, "tuning_lr": 0.001},
}
"""What a method needs beside its defaults."""
GUIDED = {"share": 0.5, "inner": 2}
DIGITS = 6


def reference(fps: float) -> Clip:
    """A pattern that moves to the side, at a model's rate."""
    generator = torch.Generator().manual_seed(0)
    pattern = torch.rand(1, 3, 4, 16, generator=generator)
    wide = torch.nn.functional.interpolate(pattern, size=(32, 128), mode="bilinear") * 2 - 1
    return Clip.from_pixels(torch.cat([wide[..., 3 * frame : 3 * frame + 32] for frame in range(16)]), fps)


def checksum(latents: torch.Tensor) -> list[float]:
    """Mean, spread, and three products with fixed noise: other latents give other numbers."""
    flat = latents.detach().double().cpu().flatten()
    noise = torch.randn(3, len(flat), generator=torch.Generator().manual_seed(0)).double()
    return [rounded(value) for value in (flat.mean(), flat.std(), *(noise @ flat / len(flat) ** 0.5))]


def rounded(value: Any) -> float:
    """A number with :data:`DIGITS` digits."""
    return float(f"{float(value):.{DIGITS}g}")


def _kept(latents: list[torch.Tensor]) -> Any:
    """A callback that keeps the latents of every sampling step."""

    def advance(step: Any) -> None:
        if step.phase == "sample" and step.latents is not None:
            latents.append(step.latents)

    return advance


def measured_transfer(twin: str, method: str) -> dict[str, list[float]]:
    """Losses and latents of one method on one twin."""
    model = motionlift.load(EVERY_TWIN[twin](), "cpu")
    guided = {} if method in ("none", "inverted", "vmc", "motionmatcher", "motiondirector") else GUIDED
    settings = {"steps": 4, **guided, **SETTINGS.get(method, {})}
    frames = 16 if twin == "cogvideox-1.5" else 8
    seen: list[torch.Tensor] = []
    video = motionlift.transfer(
        reference(8), PROMPT, model, method=method, seed=3, frames=frames, settings=settings,
        cached=False, advance=_kept(seen),
    )  # fmt: skip
    return {"losses": [rounded(loss) for loss in video.record["losses"]], "latents": checksum(seen[-1])}


def measured_cascade() -> dict[str, list[float]]:
    """Frames of a cascade: more of them, then more pixels."""
    model = motionlift.load(EVERY_TWIN["unet3d"](), "cpu")
    stages = [motionlift.interpolation(model, 2), motionlift.super_resolution("cpu")]
    video = motionlift.transfer(
        reference(8), PROMPT, model, method="ditflow", frames=3, settings={"steps": 2}, cached=False, stages=stages
    )
    return {
        "frames": [*map(float, video.clip.frames.shape[:3]), rounded(video.clip.fps)],
        "pixels": checksum(video.clip.pixels()),
    }


def measured_score() -> dict[str, float]:
    """Every figure of a clip of the world beside another that needs no model."""
    from motionlift.world.truth import write_world

    with tempfile.TemporaryDirectory() as folder:
        write_world(Path(folder), 2, 5, 9, 64)
        paths = [Path(folder) / f"000{number}{suffix}" for number, suffix in ((0, ".mp4"), (1, ".mp4"), (0, ".json"))]
        found = motionlift.score(
            paths[0], paths[1], prompt="a red star on a blue plain background", truth=paths[2], legacy=True
        )
    return {name: rounded(value) for name, value in found.figures.items() if value == value}


def measured(methods: Any) -> dict[str, Any]:
    """All of it."""
    return {
        "transfer": {twin: {name: measured_transfer(twin, name) for name in sorted(methods)} for twin in EVERY_TWIN},
        "cascade": measured_cascade(),
        "score": measured_score(),
    }


if __name__ == "__main__":
    from motionlift.methods import methods

    NUMBERS.write_text(json.dumps(measured(methods()), indent=1) + "\n")
