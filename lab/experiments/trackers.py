"""How far the built-in trackers are from the truth, for still, panning and zooming cameras. No model is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from motionlift.bench.report.tables import interval, table
from motionlift.measure.trackers import FlowTracker, LucasKanadeTracker, PointTracks, grid_points
from motionlift.video.clip import Clip
from motionlift.world import scenes

NAME = "trackers"
COUNT = 12
STREAM = 94
"""Seed of the scenes, apart from those of every training and of the other experiments."""
GRID = 32
"""Points in a row and in a column (ours)."""
PICTURES: Mapping[str, int] = {"world, 64x64": 64, "textured, 256x256": 256}
"""The world as it is, at the size of the bundled models; and its motion on pictures that have texture, as footage has."""
TRACKERS = {kind.name: kind for kind in (FlowTracker, LucasKanadeTracker)}
THINGS = ("object", "background")
OCTAVES = (1, 2, 4, 8)
"""Widths of the blots of a texture, pixels (ours)."""


@dataclass(frozen=True)
class TrueTracks:
    """Where the points of a grid over the first frame truly are."""

    positions: Float[Tensor, "points frames 2"]
    """x then y, in pixels."""
    visible: Bool[Tensor, "points frames"]
    """Inside the frame, and covered by nothing."""
    on_object: Bool[Tensor, " points"]
    """Whether the point is on the object in the first frame; else it is on the background."""
    sure: Bool[Tensor, " points"]
    """Whether the four pixels around the point show the same thing, so that its motion is beyond doubt."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each clip and camera."""
    return [{"index": index, "camera": camera} for index in range(count) for camera in scenes.CAMERAS]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Errors and shares of both trackers on both kinds of pictures."""
    torch.set_num_threads(1)
    scene = scenes.sample(STREAM, cell["index"], objects=1, camera=cell["camera"])
    figures: dict[str, Any] = {"motion": scene.motion, "pattern": scene.background.pattern}
    for title, side in PICTURES.items():
        frames = scenes.render([scene], side, side).frames[0] if "world" in title else textured(scene, side)
        truth = true_tracks(scene, side)
        clip = Clip.of(frames, 8.0)
        for name, tracker in TRACKERS.items():
            found = tracker(GRID).track(clip)
            for thing in THINGS:
                figures[f"{title}/{name}/{thing}"] = agreement(found, truth, truth.on_object == (thing == "object"))
    return figures


def true_tracks(scene: scenes.Scene, side: int, grid: int = GRID) -> TrueTracks:
    """Exact tracks of a grid of points; a thing moves affinely, so that what is between pixels is known too."""
    masks = scenes.render([scene], side, side).masks[0]
    points = torch.from_numpy(grid_points(side, side, grid))
    corner = points.floor().long().clamp(0, side - 2)
    corners = [corner + corner.new_tensor(step) for step in ((0, 0), (1, 0), (0, 1), (1, 1))]
    inside = torch.stack([masks[0, 0][place[:, 1], place[:, 0]] for place in corners])
    share = points - corner
    weights = [
        (1 - share),
        torch.stack([share[:, 0], 1 - share[:, 1]], -1),
        torch.stack([1 - share[:, 0], share[:, 1]], -1),
        share,
    ]
    tracks, visible = [], []
    for frame in range(scene.frames):
        field = scenes.displacement(scene, 0, frame, side, side, masks)
        moved = sum(
            field[place[:, 1], place[:, 0]] * weight.prod(dim=-1, keepdim=True)
            for place, weight in zip(corners, weights, strict=True)
        )
        there = points + moved
        shown = ((there >= -0.5) & (there <= side - 0.5)).all(dim=-1)
        nearest = there.round().long().clamp(0, side - 1)
        tracks.append(there)
        visible.append(shown & (masks[0, frame][nearest[:, 1], nearest[:, 0]] == inside[0]))
    sure = (inside == inside[0]).all(dim=0)
    return TrueTracks(torch.stack(tracks, dim=1), torch.stack(visible, dim=1), inside[0], sure)


def textured(scene: scenes.Scene, side: int) -> Tensor:
    """The motion of a scene on two textures, one for the object and one for what lies behind: ``(frames, side, side, 3)``.

    Every pixel shows the texture where its point was in the first frame, so that the scene's displacement is exact.
    """
    masks = scenes.render([scene], side, side).masks[0]
    rng = np.random.default_rng(STREAM)
    thing, ground = (_texture(3 * side, rng) for _ in range(2))
    home = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).astype(np.float32)
    frames = []
    for frame in range(scene.frames):
        there = home + side + scenes.displacement(scene, frame, 0, side, side, masks).numpy()
        seen = [
            cv2.remap(texture, there[..., 0], there[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            for texture in (thing, ground)
        ]
        frames.append(np.where(masks[0, frame].numpy()[..., None], *seen))
    return torch.from_numpy(np.stack(frames))


def _texture(side: int, rng: np.random.Generator) -> np.ndarray:
    """Blots of several widths, in colour."""
    total = np.zeros((side, side, 3))
    for width in OCTAVES:
        noise = rng.standard_normal((side, side, 3))
        total += cv2.GaussianBlur(noise, (0, 0), width) * width
    return np.clip(128 + 50 * total / total.std(), 0, 255).astype(np.uint8)


def agreement(found: PointTracks, truth: TrueTracks, chosen: Bool[Tensor, " points"]) -> dict[str, float]:
    """Errors in pixels over what both say is seen, and how well the tracker knows what is.

    Returns:
        ``median`` and ``mean`` error; ``kept``, the share of what is truly seen that the tracker holds; ``dropped``, the share
        of what is truly hidden that it lets go; NaN where there is none.
    """
    chosen = chosen & truth.sure
    error = (found.positions[chosen] - truth.positions[chosen]).norm(dim=-1)[:, 1:]
    held, seen = found.visible[chosen][:, 1:], truth.visible[chosen][:, 1:]
    both = error[held & seen].double()
    return {
        "median": float(both.median()) if len(both) else float("nan"),
        "mean": float(both.mean()) if len(both) else float("nan"),
        "kept": float(held[seen].double().mean()) if seen.any() else float("nan"),
        "dropped": float((~held[~seen]).double().mean()) if (~seen).any() else float("nan"),
    }


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every kind of picture, camera and thing; four columns for each tracker."""
    rows = []
    for title in PICTURES:
        for camera in scenes.CAMERAS:
            for thing in THINGS:
                found = [record for record in records if record["camera"] == camera]
                row = [title, camera, thing]
                for name in TRACKERS:
                    parts = [record[f"{title}/{name}/{thing}"] for record in found]
                    row += [interval([part[key] for part in parts], digits=2) for key in ("median", "mean")]
                    row += [interval([part[key] for part in parts], 100) for key in ("kept", "dropped")]
                rows.append(row)
    figures = ("median error", "mean error", "kept, %", "dropped, %")
    head = ["pictures", "camera", "points on", *[f"{name}: {figure}" for name in TRACKERS for figure in figures]]
    text = (
        f"## Built-in trackers\n\n{GRID * GRID} points followed through 17 frames of {len(records) // len(scenes.CAMERAS)} clips "
        "for each camera, against exact tracks. Errors in pixels, over the points and frames that are truly seen and that the "
        "tracker holds; the share of what is truly seen that it holds, and of what is truly hidden that it lets go; means over "
        "clips . The world's objects are of one colour and its backgrounds plain, striped or "
        "graded, where no tracker can see motion along what looks the same; the textured pictures are the same motion, warped "
        "exactly, on random texture.\n\n"
    )
    return text + table(head, rows)
