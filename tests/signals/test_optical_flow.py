import cv2
import numpy as np
import pytest
import torch

from motionlift.core.lattice import Lattice
from motionlift.errors import SettingError
from motionlift.signals.optical_flow import flow_displacement
from motionlift.world import scenes


def sliding(frames, height, width, step, seed=0):
    """A window that slides over a large smooth texture, so that what it shows moves by minus the step."""
    noise = np.random.default_rng(seed).integers(0, 256, (height + 80, width + 80, 3), dtype=np.uint8)
    texture = cv2.normalize(cv2.GaussianBlur(noise, None, 2.5), None, 0, 255, cv2.NORM_MINMAX)
    starts = [(40 + step[1] * number, 40 + step[0] * number) for number in range(frames)]
    return torch.from_numpy(np.stack([texture[y : y + height, x : x + width] for y, x in starts]))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 80), (160, 130)])
def test_a_sliding_texture_gives_its_shift_in_tokens_x_then_y(height, width):
    grid = Lattice(3, 4, 5)
    found = flow_displacement(sliding(9, height, width, (-2, 1)), [0.0, 4.0, 8.0], grid)
    assert found.shape == (3, 3, 20, 2)
    for i in range(3):
        for j in range(3):
            truth = torch.tensor([2.0 * width**-1 * 5, -1.0 * height**-1 * 4]) * 4 * (j - i)
            inner = found[i, j].reshape(4, 5, 2)[1:3, 1:4]
            torch.testing.assert_close(inner[0, 1], truth, atol=0.05, rtol=0)
            assert (inner - truth).nan_to_num().abs().max() < 0.1


def test_what_leaves_the_frame_is_unknown():
    grid = Lattice(2, 4, 4)
    found = flow_displacement(sliding(9, 64, 64, (-3, 0)), [0.0, 8.0], grid)[0, 1].reshape(4, 4, 2)
    assert found[:, 3].isnan().all()  # moves 24 pixels to the right: the last 16 are lost
    assert found[:, 1].isfinite().all()


def test_a_still_video_is_known_to_rest():
    frames = sliding(1, 64, 64, (0, 0)).expand(5, -1, -1, -1)
    found = flow_displacement(frames, [0.0, 1.0, 3.0], Lattice(3, 8, 8))
    torch.testing.assert_close(found, torch.zeros(3, 3, 64, 2), atol=1e-3, rtol=0)


def test_latent_frames_of_the_same_picture_do_not_move():
    found = flow_displacement(sliding(3, 64, 64, (2, 0)), [0.0, 0.4, 2.0], Lattice(3, 4, 4))
    assert not found[0, 1].any()
    assert not torch.diagonal(found, dim1=0, dim2=1).any()
    assert found[0, 2].nan_to_num().any()


def test_one_latent_frame_rests():
    found = flow_displacement(sliding(3, 64, 64, (2, 0)), [1.0], Lattice(1, 4, 4))
    assert found.shape == (1, 1, 16, 2)
    assert not found.any()


@pytest.mark.parametrize("motion", ["line", "arc"])
def test_finds_the_true_displacement_of_a_rendered_object(motion):
    scene = scenes.sample(5, 0, objects=1, motion=motion, camera="still")
    rendering = scenes.render([scene])
    found = flow_displacement(rendering.frames[0], [0.0, 8.0, 16.0], Lattice(3, 8, 8))
    covered = rendering.masks[0, 0].float().unflatten(1, (8, 8)).unflatten(3, (8, 8)).mean(dim=(2, 4)).flatten(1)
    wanted, got = [], []
    for i, start in enumerate((0, 8, 16)):
        for j, end in enumerate((0, 8, 16)):
            cells = (covered[start] > 0.8) & (i != j) & found[i, j].isfinite().all(dim=-1)
            true = scenes.displacement(scene, start, end).unflatten(0, (8, 8)).unflatten(2, (8, 8)).mean(dim=(1, 3)) / 8
            wanted.append(true.flatten(0, 1)[cells])
            got.append(found[i, j][cells])
    wanted, got = torch.cat(wanted), torch.cat(got)
    assert len(wanted) >= 10
    assert torch.cosine_similarity(got, wanted, dim=-1).mean() > 0.97
    assert (got - wanted).norm(dim=-1).mean() / wanted.norm(dim=-1).mean() < 0.15


def test_a_stricter_share_knows_less():
    frames = scenes.render([scenes.sample(5, 1, objects=2, camera="pan")]).frames[0]
    known = [
        flow_displacement(frames, [0.0, 16.0], Lattice(2, 8, 8), least_share=share).isfinite().sum()
        for share in (0.1, 0.9)
    ]
    assert known[0] > known[1] > 0


@pytest.mark.parametrize(
    ("times", "settings", "named"),
    [
        ([0.0], {}, "1 times for 2 latent frames"),
        ([0.0, 3.0], {}, "leave the video"),
        ([-1.0, 2.0], {}, "leave the video"),
        ([0.0, 2.0], {"tolerance": 0.0}, "tolerance"),
        ([0.0, 2.0], {"least_share": 1.5}, "least share"),
    ],
)
def test_refuses_what_is_out_of_range(times, settings, named):
    with pytest.raises(SettingError, match=named):
        flow_displacement(sliding(3, 64, 64, (0, 0)), times, Lattice(2, 4, 4), **settings)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (8, 200), (300, 6), (1, 1)])
def test_any_size_is_read(height, width):
    found = flow_displacement(sliding(3, height, width, (0, 0)), [0.0, 2.0], Lattice(2, 4, 4))
    assert found.shape == (2, 2, 16, 2)
