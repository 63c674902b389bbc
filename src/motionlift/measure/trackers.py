"""Points followed through a video: where each one is in every frame, and whether it is still seen.

Two trackers are built in and need no weights: dense optical flow, chained from frame to frame, and Lucas-Kanade. Both ask
whether the way to the next frame and back ends near its beginning; a point of which that is not so is not seen from there on.
CoTracker is a third, by weights of the user's own.

Positions are in pixels, x then y, y pointing down; the middle of the first pixel is 0, 0.
"""

import hashlib
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from motionlift.errors import InputError, ModelError, SettingError
from motionlift.signals.optical_flow import LEAST_SIDE, NARROWEST, SLACK
from motionlift.video.limits import MOST_BYTES, MOST_STREAMED, Image

GRID = 50
"""Points in a row and in a column of the first frame: 2500, as the released program of MotionMatcher asks of CoTracker."""
GRIDS = (1, 128)
"""Fewest and most points in a row (ours)."""
TOLERANCE = 1.0
"""How far from its beginning the way there and back may end, in pixels, after small frames were enlarged (ours; a share of
the step's length is added, :data:`motionlift.signals.optical_flow.SLACK`)."""
WINDOW, LEVELS = 21, 4
"""Side of Lucas-Kanade's window in pixels, OpenCV's default, and its halvings of the frame (ours, for steps of up to a
sixth of the frame)."""
MOST_WEIGHTS = 2**30
"""Largest file of weights that is opened, in bytes (ours: CoTracker's has a tenth of it)."""
HASH_CHARACTERS = 12
"""Characters of the start of a hash that stand for weights (ours, as for models and defaults)."""
HUB_FOLDER, HUB_ENTRY, HUB_WEIGHTS = "facebookresearch_co-tracker_main", "cotracker3_offline", "scaled_offline.pth"
"""Where torch.hub keeps CoTracker's program, the name of its model there, and that of its weights (its released program)."""
HOW_TO_GET_COTRACKER = (
    "fetch it once, with a network, by: python -c \"import torch; torch.hub.load('facebookresearch/co-tracker', "
    f"'{HUB_ENTRY}')\""
)
"""The one command by which torch.hub fills its cache."""

Grey = UInt8[np.ndarray, "height width"]
Points = Float32[np.ndarray, "points 2"]
Follow = Callable[[Grey, Grey, Points], tuple[Points, Points, Bool[np.ndarray, " points"]]]
"""From two frames and points of the first: where they are in the second, where these are in the first, and which were found."""


@runtime_checkable
class Frames(Protocol):
    """A stream of frames: :class:`motionlift.video.footage.Footage`, :class:`motionlift.video.clip.Clip`, or the like."""

    @property
    def fps(self) -> float:
        """Frames a second."""
        ...

    def __iter__(self) -> Iterator[Image]:
        """Frames one by one, all of one size."""
        ...


@dataclass(frozen=True)
class PointTracks:
    """Points followed through one video."""

    positions: Float[Tensor, "points frames 2"]
    """x then y, in pixels of the video; finite also where a point is not seen."""
    visible: Bool[Tensor, "points frames"]
    """Whether the point is seen in the frame."""
    height: int
    """Rows of the video."""
    width: int
    """Columns of the video."""
    fps: float
    """Frames a second."""

    def __repr__(self) -> str:
        points, frames = self.visible.shape
        return f"PointTracks({points} points in {frames} frames of {self.width}x{self.height}, {self.fps:.4g} a second)"


@runtime_checkable
class Tracker(Protocol):
    """A way to follow points."""

    name: str
    """As the command line has it."""

    def track(self, frames: Frames) -> PointTracks:
        """Follow a regular grid of points of the first frame through the video.

        Raises:
            InputError: fewer than two frames, or more than can be held.
        """
        ...


class FlowTracker:
    """Dense optical flow (OpenCV's DIS) from frame to frame, chained."""

    name = "flow"

    def __init__(self, grid: int = GRID):
        """A tracker of ``grid`` times ``grid`` points.

        Raises:
            SettingError: the grid is out of range.
        """
        self.grid = _checked(grid)
        self._solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def track(self, frames: Frames) -> PointTracks:
        """As :meth:`Tracker.track`."""
        return _followed(frames, self.grid, self._follow)

    def _follow(self, one: Grey, other: Grey, points: Points) -> tuple[Points, Points, Bool[np.ndarray, " points"]]:
        still = np.zeros((*one.shape, 2), np.float32)
        ends = points + _sampled(self._solver.calc(one, other, still.copy()), points)
        back = ends + _sampled(self._solver.calc(other, one, still), ends)
        return ends, back, np.ones(len(points), bool)


class LucasKanadeTracker:
    """Lucas-Kanade in a pyramid (OpenCV's), point by point: it drops what has no texture."""

    name = "lucas-kanade"

    def __init__(self, grid: int = GRID):
        """A tracker of ``grid`` times ``grid`` points.

        Raises:
            SettingError: the grid is out of range.
        """
        self.grid = _checked(grid)

    def track(self, frames: Frames) -> PointTracks:
        """As :meth:`Tracker.track`."""
        return _followed(frames, self.grid, self._follow)

    def _follow(self, one: Grey, other: Grey, points: Points) -> tuple[Points, Points, Bool[np.ndarray, " points"]]:
        settings: dict[str, Any] = {"winSize": (WINDOW, WINDOW), "maxLevel": LEVELS}
        ends, there, _ = cv2.calcOpticalFlowPyrLK(one, other, points[:, None], np.empty(0), **settings)
        back, again, _ = cv2.calcOpticalFlowPyrLK(other, one, ends, np.empty(0), **settings)
        found = (there.ravel() == 1) & (again.ravel() == 1)
        return ends[:, 0], back[:, 0], found


class CoTracker:
    """CoTracker3, offline: its program from torch.hub's local cache, its weights from there or from a file of one's own.

    Nothing is downloaded. Weights are a state dict, read as safetensors or by PyTorch's restricted reader, which builds
    tensors and nothing else. The whole video is held in memory as floats.
    """

    name = "cotracker"

    def __init__(self, weights: str | Path | None = None, repository: str | Path | None = None, grid: int = GRID):
        """Load it.

        Args:
            weights: a file of weights; by default the one that torch.hub keeps.
            repository: the folder of CoTracker's program; by default the one that torch.hub keeps.
            grid: points in a row and in a column.

        Raises:
            ModelError: the program or the weights are not there, or cannot be read.
            SettingError: the grid is out of range.
        """
        self.grid = _checked(grid)
        self.weights = ""
        """The start of the hash of its weights, by which a tracker that was fetched at another time is known."""
        hub = Path(torch.hub.get_dir())
        folder = Path(repository) if repository else hub / HUB_FOLDER
        file = Path(weights) if weights else hub / "checkpoints" / HUB_WEIGHTS
        for place in (folder / "hubconf.py", file):
            if not place.is_file():
                raise ModelError(f"CoTracker is not here: there is no {place}; {HOW_TO_GET_COTRACKER}")
        state = _state_dict(file)
        with file.open("rb") as opened:
            self.weights = hashlib.file_digest(opened, "sha256").hexdigest()[:HASH_CHARACTERS]
        try:
            self._predictor: Any = torch.hub.load(str(folder), HUB_ENTRY, source="local", pretrained=False)
            self._predictor.model.load_state_dict(state)
        except Exception as error:  # whatever a foreign program raises
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"CoTracker cannot be loaded from {folder} and {file}: {reason}; {HOW_TO_GET_COTRACKER}"
            ) from error

    @torch.inference_mode()
    def track(self, frames: Frames) -> PointTracks:
        """As :meth:`Tracker.track`.

        Raises:
            InputError: as there, or the video is too large to be held.
            ModelError: CoTracker fails.
        """
        images: list[Image] = []
        for image in frames:
            images.append(image)
            if 12 * len(images) * image.shape[0] * image.shape[1] > MOST_BYTES:  # three floats of four bytes a pixel
                raise InputError(
                    f"CoTracker holds a video in memory and this one takes more than {MOST_BYTES >> 30} GiB; "
                    "give a shorter or smaller one, or take the tracker 'flow'"
                )
        _check_count(len(images))
        height, width = images[0].shape[:2]
        video = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)[None].float()
        try:
            tracks, visible = self._predictor(video, grid_size=self.grid)
        except Exception as error:  # whatever a foreign program raises
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"CoTracker failed: {reason}; {HOW_TO_GET_COTRACKER}, or take the tracker 'flow'"
            ) from error
        positions = tracks[0].transpose(0, 1).float().cpu().contiguous()
        seen = (visible[0].transpose(0, 1) > 0.5).cpu() & positions.isfinite().all(dim=-1)
        return PointTracks(positions.nan_to_num(0.0, 0.0, 0.0), seen.contiguous(), height, width, frames.fps)


TRACKERS: Mapping[str, Callable[[], Tracker]] = {
    kind.name: kind for kind in (FlowTracker, LucasKanadeTracker, CoTracker)
}
"""Every tracker by its name."""


def tracker_named(name: str, weights: str | Path | None = None) -> Tracker:
    """A tracker, with the weights for those that take some.

    Raises:
        SettingError: there is no such tracker, or it takes no weights.
        ModelError: its weights are not there.
    """
    check_tracker(name, weights)
    return TRACKERS[name]() if weights is None else CoTracker(weights)


def check_tracker(name: str, weights: str | Path | None = None) -> None:
    """Refuse what is no tracker, without looking for its weights.

    Raises:
        SettingError: there is no such tracker, or it takes no weights.
    """
    if name not in TRACKERS:
        raise SettingError(f"tracker {str(name)[:40]!r} is unknown; allowed are {', '.join(TRACKERS)}")
    if weights is not None and name != CoTracker.name:
        raise SettingError(f"the tracker {name} takes no weights; they are for {CoTracker.name}")


def about_tracker(tracker: Tracker) -> dict[str, str | int]:
    """What decides a tracker's numbers: its name, its grid, and the version of OpenCV or the weights that it works by."""
    told: dict[str, str | int] = {"name": tracker.name}
    grid, weights = getattr(tracker, "grid", None), getattr(tracker, "weights", None)
    if grid is not None:
        told["grid"] = grid
    if weights is not None:
        told |= {"program": HUB_ENTRY, "weights": weights}
    elif tracker.name in TRACKERS:
        told["opencv"] = cv2.__version__
    return told


def resized(tracks: PointTracks, height: int, width: int) -> PointTracks:
    """The same tracks in pixels of another size of the video."""
    scale = torch.tensor([width / tracks.width, height / tracks.height])
    return replace(tracks, positions=(tracks.positions + 0.5) * scale - 0.5, height=height, width=width)


def grid_points(height: int, width: int, grid: int) -> Points:
    """Middles of the cells of a regular grid over a frame, row by row."""
    rows, columns = ((np.arange(grid) + 0.5) * side / grid - 0.5 for side in (height, width))
    return np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2).astype(np.float32)


def _checked(grid: int) -> int:
    if type(grid) is not int or not GRIDS[0] <= grid <= GRIDS[1]:
        raise SettingError(f"grid is {grid!r}; allowed is a whole number of points from {GRIDS[0]} to {GRIDS[1]}")
    return grid


def _check_count(count: int) -> None:
    if not 2 <= count <= MOST_STREAMED:
        raise InputError(f"a video of {count} frame(s) came; points can be followed through 2 to {MOST_STREAMED}")


def _followed(frames: Frames, grid: int, follow: Follow) -> PointTracks:
    """Follow a grid of points from frame to frame; a step that cannot be confirmed ends what is seen of a point.

    Beyond there a point goes on by what was estimated, as CoTracker's do.
    """
    images = iter(frames)
    first = next(images, None)
    if first is None:
        _check_count(0)
    assert first is not None
    height, width = first.shape[:2]
    before = _grey(first)
    points = grid_points(before.shape[0], before.shape[1], grid)
    seen = np.ones(len(points), bool)
    track, visible = [points], [seen]
    for image in images:
        if image.shape != first.shape:
            raise InputError(f"a frame of {image.shape[1]}x{image.shape[0]} follows one of {width}x{height} pixels")
        after = _grey(image)
        ends, back, found = follow(before, after, points)
        seen = seen & found & _confirmed(points, ends, back, after.shape)
        points, before = _bounded(ends, after.shape), after
        track.append(points)
        visible.append(seen)
        if len(track) > MOST_STREAMED:
            break
    _check_count(len(track))
    size = before.shape
    positions = torch.from_numpy(np.stack(track, axis=1))
    tracks = PointTracks(positions, torch.from_numpy(np.stack(visible, axis=1)), size[0], size[1], frames.fps)
    return resized(tracks, height, width)


def _grey(image: Image) -> UInt8[np.ndarray, "rows columns"]:
    """A grey frame; a small one is enlarged, which both trackers need."""
    height, width = image.shape[:2]
    scale = max(1.0, LEAST_SIDE / max(height, width))
    size = max(NARROWEST, round(width * scale)), max(NARROWEST, round(height * scale))
    if size != (width, height):
        image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def _sampled(flow: Float32[np.ndarray, "height width 2"], points: Points) -> Points:
    """The flow at points between pixels; outside the frame, that of its border."""
    at = np.ascontiguousarray(points[:, None])
    return cv2.remap(flow, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]


def _confirmed(points: Points, ends: Points, back: Points, size: tuple[int, ...]) -> Bool[np.ndarray, " points"]:
    """Where there and back again ends near its beginning, by way of a place inside the frame."""
    height, width = size
    inside = ((ends >= -0.5) & (ends <= np.array([width, height]) - 0.5)).all(axis=-1)
    miss, length = np.linalg.norm(back - points, axis=-1), np.linalg.norm(ends - points, axis=-1)
    return inside & (miss < TOLERANCE + SLACK * length)


def _bounded(points: Points, size: tuple[int, ...]) -> Points:
    """Points no farther outside than the frame is large: one that is lost would else run away."""
    height, width = size
    limits = np.array([width, height], np.float32)
    return np.nan_to_num(points).clip(-limits, 2 * limits)


def _state_dict(file: Path) -> dict[str, Tensor]:
    """Weights by name, without unpickling anything but tensors."""
    if file.stat().st_size > MOST_WEIGHTS:
        raise ModelError(f"{file} is larger than {MOST_WEIGHTS >> 20} MiB; give a file of CoTracker's weights")
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"{file} holds no weights that are read: give a state dict as safetensors or as torch.save writes it"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{file} holds something else than a state dict; give CoTracker's weights alone")
    return state
