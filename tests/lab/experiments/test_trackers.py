"""The experiment on the trackers: its truth against the renderer, its figures against known answers."""

import json
import math

import numpy as np
import pytest
import torch

from lab.experiments import runner, trackers
from lab.experiments.trackers import TrueTracks, agreement, textured, true_tracks
from motionlift.measure.trackers import PointTracks, grid_points
from motionlift.world import scenes


def scene(camera: str = "still", motion: str = "line") -> scenes.Scene:
    return scenes.sample(trackers.STREAM, 2, 9, objects=1, camera=camera, motion=motion)


@pytest.mark.parametrize("camera", scenes.CAMERAS)
def test_true_tracks_of_the_object_go_with_its_centre(camera: str):
    which = scene(camera)
    truth = true_tracks(which, 64)
    np.testing.assert_allclose(truth.positions[:, 0].numpy(), grid_points(64, 64, trackers.GRID), atol=1e-5)
    on_it = truth.on_object & truth.sure
    moved = truth.positions[on_it].mean(dim=0)
    centre = torch.from_numpy(which.tracks()[0]) * 64 - 0.5
    zoomed = torch.from_numpy(which.zoom / which.zoom[0])[:, None]
    offset = (moved[0] - centre[0]) * zoomed
    assert (moved - centre - offset).norm(dim=-1).max() < 1e-2
    still = ~truth.on_object & truth.sure
    rests = (truth.positions[still] - truth.positions[still][:, :1]).norm(dim=-1).max() < 1e-3
    assert rests == (camera == "still")


@pytest.mark.parametrize("camera", scenes.CAMERAS)
def test_textured_pictures_move_as_the_truth_says(camera: str):
    """The colour of a point stays where its track goes."""
    which = scene(camera)
    frames, truth = textured(which, 96).float(), true_tracks(which, 96)
    chosen = truth.visible[:, -1] & truth.sure
    colours = []
    for frame in (0, which.frames - 1):
        x, y = truth.positions[chosen, frame].unbind(-1)
        at = torch.stack([(2 * x + 1) / 96 - 1, (2 * y + 1) / 96 - 1], dim=-1)[None, None]
        picture = frames[frame].permute(2, 0, 1)[None]
        colours.append(torch.nn.functional.grid_sample(picture, at, align_corners=False)[0, :, 0].T)
    own, others = ((colours[0] - colours[1].roll(places, dims=0)).abs().mean() for places in (0, 100))
    assert own < others / 3, "all but what reading between pixels loses"


def test_what_the_object_covers_is_not_seen():
    truth, masks = true_tracks(scene(), 64), scenes.render([scene()]).masks[0, 0]
    hidden = ~truth.on_object & truth.sure & ~truth.visible[:, -1]
    assert hidden.any()
    places = truth.positions[hidden, -1].round().long()
    assert masks[-1][places[:, 1], places[:, 0]].all()


def test_agreement_is_over_what_both_say_is_seen():
    true = torch.zeros(3, 4, 2)
    visible = torch.ones(3, 4, dtype=torch.bool)
    visible[1, 3] = False
    truth = TrueTracks(true, visible, torch.tensor([True, True, False]), torch.tensor([True, True, False]))
    found = true.clone()
    found[0, 1:] = torch.tensor([3.0, 4.0])
    found[1, 3] = 1000.0
    held = visible.clone()
    held[0, 3] = False
    figures = agreement(PointTracks(found, held, 8, 8, 8.0), truth, truth.on_object)
    # Errors 5, 5 of the first point and 0, 0 of the second.
    assert figures == {"median": 0.0, "mean": 2.5, "kept": pytest.approx(4 / 5), "dropped": 1.0}
    nothing = agreement(PointTracks(found, held, 8, 8, 8.0), truth, ~truth.on_object)
    assert all(math.isnan(value) for value in nothing.values())


@pytest.mark.slow
def test_a_record_and_its_section():
    cells = trackers.cells(2)
    assert len(cells) == 6 and len({json.dumps(cell) for cell in cells}) == 6
    record = json.loads(json.dumps(runner.measure_cell(trackers.NAME, cells[0], runner.NO_MODEL, 1)))
    assert record["camera"] == "still"
    assert record["textured, 256x256/flow/background"]["median"] < 0.5
    text = trackers.section([{**record, "camera": camera} for camera in scenes.CAMERAS])
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 2 * 3 * 2
    assert len({line.count("|") for line in lines}) == 1
    assert "of 1 clips" in text
