"""Trackers on pictures whose motion is known, and CoTracker's adapter with a stand-in of its program."""

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from motionlift.errors import InputError, ModelError, SettingError
from motionlift.measure import trackers
from motionlift.measure.trackers import (
    TRACKERS,
    CoTracker,
    FlowTracker,
    LucasKanadeTracker,
    PointTracks,
    about_tracker,
    grid_points,
    resized,
    tracker_named,
)
from motionlift.video.clip import Clip
from motionlift.video.footage import Footage

BUILT_IN = [FlowTracker, LucasKanadeTracker]


def picture(side: int = 400) -> np.ndarray:
    """Blots of colour."""
    noise = np.random.default_rng(0).standard_normal((side, side, 3))
    blots = sum(cv2.GaussianBlur(noise, (0, 0), width) * width for width in (1.5, 4, 10))
    return np.clip(128 + 45 * blots / blots.std(), 0, 255).astype(np.uint8)


def panned(step: tuple[float, float], frames: int = 8, height: int = 160, width: int = 200) -> Clip:
    """A window that moves over the picture, so that what it shows moves by ``step`` a frame."""
    images = []
    for number in range(frames):
        shift = np.array([[1, 0, step[0] * number - 100], [0, 1, step[1] * number - 100]], np.float64)
        images.append(cv2.warpAffine(picture(), shift, (width, height), flags=cv2.INTER_LINEAR))
    return Clip.of(torch.from_numpy(np.stack(images)), 12.0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", BUILT_IN)
def test_a_known_shift_is_followed(kind: type):
    step = (2.5, -1.25)
    tracks = kind(10).track(panned(step))
    assert (tracks.height, tracks.width, tracks.fps) == (160, 200, 12.0)
    assert tracks.positions.shape == (100, 8, 2)
    true = tracks.positions[:, :1] + torch.arange(8)[:, None] * torch.tensor(step)
    shown = ((true > 0) & (true < torch.tensor([199, 159]))).all(dim=-1)
    error = (tracks.positions - true).norm(dim=-1)
    assert error[tracks.visible & shown].median() < 0.25
    assert tracks.visible[shown].float().mean() > 0.9
    assert not tracks.visible[~shown & (true > 205).any(dim=-1)].any(), "what left the frame is not seen"


@pytest.mark.slow
@pytest.mark.parametrize("kind", BUILT_IN)
def test_a_still_picture_stays_where_it_is(kind: type):
    tracks = kind(10).track(panned((0, 0)))
    assert tracks.visible.all()
    assert (tracks.positions - tracks.positions[:, :1]).norm(dim=-1).max() < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("kind", BUILT_IN)
def test_a_point_that_is_lost_stays_lost(kind: type):
    clip = panned((1, 0), frames=9)
    frames = clip.frames.clone()
    frames[4] = torch.from_numpy(np.random.default_rng(1).integers(0, 256, frames[4].shape, np.uint8))
    tracks = kind(10).track(Clip.of(frames, 12.0))
    assert tracks.visible[:, 3].float().mean() > 0.9
    assert tracks.visible[:, 4:].float().mean() < 0.3, "nothing can be followed through noise"
    assert (tracks.visible[:, 1:] <= tracks.visible[:, :-1]).all()
    assert tracks.positions.isfinite().all()


def test_what_is_covered_is_let_go():
    """A block that crosses a still picture: points that it covers are not seen; those before its way, or far from it, are."""
    ground, block = picture()[:160, :200], picture()[200:260, 200:240]
    images = []
    for number in range(12):
        image = ground.copy()
        image[50:110, 10 * number : 10 * number + 40] = block
        images.append(image)
    tracks = FlowTracker(20).track(Clip.of(torch.from_numpy(np.stack(images)), 12.0))
    start = tracks.positions[:, 0]
    covered = (start[:, 0] > 60) & (start[:, 0] < 100) & (start[:, 1] > 60) & (start[:, 1] < 100)
    far = (start[:, 1] < 25) | (start[:, 1] > 135)
    assert tracks.visible[covered, -1].float().mean() < 0.35
    assert tracks.visible[far, -1].float().mean() > 0.95


def test_flat_pictures_have_nothing_for_lucas_kanade():
    clip = Clip.of(torch.full((4, 64, 64, 3), 90, dtype=torch.uint8), 8.0)
    assert not LucasKanadeTracker(5).track(clip).visible[:, 1:].any()
    assert FlowTracker(5).track(clip).visible.all()


@pytest.mark.slow
def test_small_frames_are_followed_in_their_own_pixels():
    large = panned((4.0, 0.0), height=160, width=160)
    small = large.resized(40, 40)
    tracks = FlowTracker(8).track(small)
    np.testing.assert_allclose(tracks.positions[:, 0].numpy(), grid_points(40, 40, 8), atol=1e-4)
    inner = tracks.positions[:, 0, 0] < 25
    moved = tracks.positions[inner][:, -1] - tracks.positions[inner][:, 0]
    assert (moved.median(dim=0).values - torch.tensor([7.0, 0.0])).norm() < 0.5


@pytest.mark.slow
def test_files_and_clips_are_followed_alike(tmp_path: Path):
    clip = panned((2.0, 1.0))
    clip.save(tmp_path / "a.mp4")
    footage = Footage.of(tmp_path / "a.mp4")
    from_file, from_memory = (FlowTracker(6).track(frames) for frames in (footage, clip))
    assert from_file.fps == pytest.approx(12.0)
    assert (from_file.positions - from_memory.positions).norm(dim=-1)[from_memory.visible].median() < 0.1


def test_the_grid_lies_evenly_over_the_frame():
    np.testing.assert_allclose(grid_points(4, 8, 2), [[1.5, 0.5], [5.5, 0.5], [1.5, 2.5], [5.5, 2.5]])


def test_tracks_at_another_size():
    corner = torch.tensor([[[-0.5, -0.5], [9.5, 4.5]]])
    tracks = PointTracks(corner, torch.ones(1, 2, dtype=torch.bool), 5, 10, 8.0)
    torch.testing.assert_close(resized(tracks, 20, 30).positions, torch.tensor([[[-0.5, -0.5], [29.5, 19.5]]]))


class Stream:
    """Frames from anywhere."""

    fps = 8.0

    def __init__(self, *images: np.ndarray):
        self.images = images

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.images)


@pytest.mark.parametrize("kind", BUILT_IN)
def test_what_cannot_be_followed_is_refused(kind: type):
    image = np.zeros((40, 40, 3), np.uint8)
    for stream, told in ((Stream(), r"0 frame\(s\)"), (Stream(image), r"1 frame\(s\)"),
                         (Stream(image, image[:30]), "40x30 follows one of 40x40")):  # fmt: skip
        with pytest.raises(InputError, match=told):
            kind(4).track(stream)
    for grid in (0, 129):
        with pytest.raises(SettingError, match="grid is"):
            kind(grid)


def test_what_decides_a_trackers_numbers():
    opencv = {"opencv": cv2.__version__}
    assert about_tracker(FlowTracker()) == {"name": "flow", "grid": 50, **opencv}
    assert about_tracker(LucasKanadeTracker(12)) == {"name": "lucas-kanade", "grid": 12, **opencv}

    class Own:
        name = "own"

        def track(self, frames: Any) -> Any: ...

    assert about_tracker(Own()) == {"name": "own"}


def test_what_decides_cotrackers_numbers(hub: Path, tmp_path: Path):
    """Its weights too, wherever they lie."""
    weights = hub / "checkpoints" / "scaled_offline.pth"
    torch.save({"weight": torch.tensor([[1.5]])}, weights)
    held = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    told = {"name": "cotracker", "grid": 7, "program": "cotracker3_offline", "weights": held}
    copied = tmp_path / "copy.pth"
    copied.write_bytes(weights.read_bytes())
    assert about_tracker(CoTracker(grid=7)) == about_tracker(CoTracker(copied, grid=7)) == told


def test_trackers_by_name(tmp_path: Path):
    assert set(TRACKERS) == {"flow", "lucas-kanade", "cotracker"}
    assert isinstance(tracker_named("flow"), FlowTracker)
    with pytest.raises(SettingError, match="'eyes' is unknown; allowed are flow, lucas-kanade, cotracker"):
        tracker_named("eyes")
    with pytest.raises(SettingError, match="takes no weights"):
        tracker_named("flow", tmp_path / "a.pth")


# CoTracker

PROGRAM = '''
import torch

dependencies = ["torch"]


class Predictor(torch.nn.Module):
    """The interface of CoTracker's: points of a regular grid that move to the right by its only weight."""

    def __init__(self):
        super().__init__()
        self.model = torch.nn.Linear(1, 1, bias=False)

    def forward(self, video, grid_size=0):
        batch, frames, channels, height, width = video.shape
        assert channels == 3 and video.dtype == torch.float32 and video.max() > 1.5
        side = torch.arange(grid_size).float()
        grid = torch.stack(torch.meshgrid(side, side, indexing="xy"), -1).reshape(1, 1, -1, 2)
        step = torch.stack([self.model.weight[0, 0], torch.zeros(())])
        tracks = grid + torch.arange(frames)[None, :, None, None] * step
        visible = tracks[..., 0] < 3
        if video[0, 0, 0].mean() > video[0, 0, 2].mean():  # red, if RGB
            visible[:, -1] = False
        return tracks, visible


def cotracker3_offline(*, pretrained=True, **kwargs):
    assert not pretrained, "it would be downloaded"
    return Predictor()
'''


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of torch.hub with a stand-in of CoTracker's program and no weights."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    program = tmp_path / trackers.HUB_FOLDER / "hubconf.py"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def reddish() -> Clip:
    frames = torch.zeros(4, 16, 24, 3, dtype=torch.uint8)
    frames[..., 0] = 200
    return Clip.of(frames, 8.0)


def test_cotracker_from_the_cache_of_torch_hub(hub: Path):
    torch.save({"weight": torch.tensor([[1.5]])}, hub / "checkpoints" / trackers.HUB_WEIGHTS)
    tracks = tracker_named("cotracker").track(reddish())
    assert tracks.positions.shape == (trackers.GRID**2, 4, 2)
    assert (tracks.height, tracks.width, tracks.fps) == (16, 24, 8.0)
    torch.testing.assert_close(tracks.positions[1], torch.tensor([[1, 0], [2.5, 0], [4, 0], [5.5, 0]]))
    assert tracks.visible[1].tolist() == [True, True, False, False]
    assert not tracks.visible[:, -1].any(), "the frames came as RGB"


def test_a_cotracker_that_fails_is_no_traceback(hub: Path):
    program = hub / trackers.HUB_FOLDER / "hubconf.py"
    program.write_text(
        program.read_text().replace("assert channels == 3 and", "raise RuntimeError('no such channels') or")
    )
    torch.save({"weight": torch.tensor([[1.5]])}, hub / "checkpoints" / trackers.HUB_WEIGHTS)
    with pytest.raises(ModelError, match="CoTracker failed: no such channels"):
        tracker_named("cotracker").track(reddish())


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_cotracker_with_weights_of_ones_own(hub: Path, tmp_path: Path, suffix: str):
    file = tmp_path / f"own{suffix}"
    state = {"weight": torch.tensor([[math.pi]])}
    save_file(state, file) if suffix == ".safetensors" else torch.save(state, file)
    tracks = CoTracker(file, grid=2).track(reddish())
    assert tracks.positions[0, 1, 0] == pytest.approx(math.pi)


def test_cotracker_that_is_not_there_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "empty"))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", None)
    with pytest.raises(ModelError, match=r"CoTracker is not here: .*torch\.hub\.load"):
        tracker_named("cotracker")


def test_cotracker_without_weights_says_how_to_get_them(hub: Path):
    with pytest.raises(ModelError, match=r"there is no .*scaled_offline\.pth.*torch\.hub\.load"):
        tracker_named("cotracker")


class Harm:
    """What a pickle could run."""

    def __reduce__(self):
        return (Path("harm").write_text, ("done",))


@pytest.mark.parametrize("held", ["pickle", "list", "noise", "other", "safetensors"])
def test_weights_that_are_none_are_refused_and_nothing_is_run(hub: Path, tmp_path: Path, held: str, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ("own.safetensors" if held == "safetensors" else "own.pth")
    if held in ("noise", "safetensors"):
        file.write_bytes(b"noise" * 9)
    else:
        torch.save({"pickle": Harm(), "list": [1, 2], "other": {"bias": torch.zeros(3)}}[held], file)
    with pytest.raises(ModelError, match=r"weights|state dict|cannot be loaded"):
        CoTracker(file)
    assert not (tmp_path / "harm").exists()


def test_cotracker_does_not_take_what_memory_cannot_hold(hub: Path, monkeypatch: pytest.MonkeyPatch):
    torch.save({"weight": torch.tensor([[1.5]])}, hub / "checkpoints" / trackers.HUB_WEIGHTS)
    monkeypatch.setattr(trackers, "MOST_BYTES", 3 * 16 * 24 * 12)
    with pytest.raises(InputError, match="give a shorter or smaller one"):
        CoTracker().track(reddish())
