"""The model card's parts: ``python -m lab.experiments.card`` draws the training curve and the sample grid.

It also writes the figures that ``motionlift models`` shows, from the records of *looks*.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lab.experiments.curves import Panel, picture
from lab.experiments.runner import current
from lab.training.train import MODELS
from motionlift.jobs.records import read_records
from motionlift.models.loading import CARD, load
from motionlift.models.sources import BUNDLED, BUNDLED_MODELS
from motionlift.video.clip import Clip
from motionlift.work.cast import cast
from motionlift.work.lift import lift
from motionlift.world import scenes

FRAME_STRIDE, ENLARGED, STRIP = 4, 2, 16
"""Frames between those shown, enlargement, and height of a caption in pixels."""

PANELS = (
    ("autoencoder", ("psnr",)),
    ("decoder", ("psnr",)),
    ("denoiser", ("frame_loss", "video_loss", "frame_truth_loss", "video_truth_loss")),
    ("denoiser", ("video_match_loss",)),
)
"""Stages of a training with the figures that are drawn in one panel."""


def draw_curve(log: Path, path: Path) -> None:
    """Figures of every stage over its steps as SVG, from the log of the training."""
    curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with log.open(encoding="utf-8", newline="") as file:
        for stage, step, _seconds, figures in csv.reader(file):
            for name, value in json.loads(figures).items():
                curves.setdefault((stage, name), []).append((int(step), value))
    panels = []
    for stage, names in PANELS:
        lines = {name.replace("_", " "): curves[stage, name] for name in names if (stage, name) in curves}
        if lines:
            panels.append(Panel(stage, lines))
    path.write_text(picture(panels), encoding="utf-8")


def draw_grid(model: str, path: Path) -> None:
    """What the model makes of a few captions, a row a caption, frames from left to right."""
    backbone = load(model)
    blank = Clip.of(scenes.render([scenes.sample(0, 0)]).frames[0], backbone.about.fps)
    motion = lift(blank, backbone, "none", cached=False)
    rows = []
    for seed, caption in enumerate(MODELS[model].GRID_CAPTIONS):
        frames = cast(motion, caption, backbone, seed=seed).clip.frames[::FRAME_STRIDE].numpy()
        row = np.hstack(list(frames)).repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
        strip = Image.new("RGB", (row.shape[1], STRIP), "white")
        ImageDraw.Draw(strip).text((2, 2), caption, fill="black")
        rows += [np.asarray(strip), row]
    Image.fromarray(np.vstack(rows)).save(path)


def write_figures(records: Path, model: str, path: Path) -> None:
    """Shares of right answers on unseen captions, from the records of this model."""
    found = [record for record in read_records(records) if current(record, model)]
    if not found:
        raise SystemExit(f"{records} holds nothing of {model}: run python -m lab.experiments looks first")
    shares = {
        f"{name} right in videos of {len(found)} unseen captions, %": round(
            100 * sum(record[name] for record in found) / len(found)
        )
        for name in ("colour", "background", "shape")
    }
    path.write_text(json.dumps(shares, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.experiments.card", description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(BUNDLED_MODELS))
    parser.add_argument("--logs", type=Path, default=Path("docs/results"), help="folder of MODEL-training.csv")
    parser.add_argument("--records", type=Path, default=Path("docs/results/looks.jsonl"))
    parser.add_argument("--images", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    arguments.images.mkdir(parents=True, exist_ok=True)
    for model in arguments.models:
        draw_curve(arguments.logs / f"{model}-training.csv", arguments.images / f"{model}-curve.svg")
        draw_grid(model, arguments.images / f"{model}-grid.png")
        write_figures(arguments.records, model, BUNDLED / model / CARD)


if __name__ == "__main__":
    main()
