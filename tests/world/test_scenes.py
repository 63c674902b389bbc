"""The world against what is known of it by other means: OpenCV polygons, closed forms, and its own pixels."""

import dataclasses
import itertools
import json
import math
import re
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor

from motionlift.world.scenes import (
    BACKGROUNDS,
    CAMERAS,
    COLOURS,
    MOTIONS,
    PATH_LENGTHS,
    PATTERNS,
    Rendering,
    Scene,
    displacement,
    held_out,
    render,
    sample,
    vocabulary,
)
from motionlift.world.shapes import SHAPES
from tests.world.polygons import POLYGONS

SIZE = 96
"""Side of the frames in these tests, in pixels: enough for a tolerance of a pixel to mean something."""

MOTIONS_AND_CAMERAS = list(itertools.product(MOTIONS, CAMERAS))

CAPTION = re.compile(
    r"(?P<things>(an? (?:{colour}) (?:{shape}))(?: and (an? (?:{colour}) (?:{shape})))?)"
    r" on an? ({ground}) ({pattern}) background".format(
        colour="|".join(COLOURS), shape="|".join(SHAPES), ground="|".join(BACKGROUNDS), pattern="|".join(PATTERNS)
    )
)


def at(field: Tensor, places: Tensor) -> Tensor:
    """Values ``(n, channels)`` of a picture ``(h, w, channels)`` at fractional pixel places ``(n, 2)``, bilinear."""
    height, width = field.shape[:2]
    grid = (places + 0.5) / places.new_tensor([width, height]) * 2 - 1
    picture = field.permute(2, 0, 1)[None].to(places.dtype)
    return functional.grid_sample(picture, grid[None, None], align_corners=False, padding_mode="border")[0, :, 0].T


def pixels_of(mask: Tensor) -> Tensor:
    """Places ``(n, 2)`` of a mask's pixels, x then y."""
    return mask.nonzero().flip(-1).float()


def depth(mask: Tensor) -> Tensor:
    """How far inside a mask each pixel lies, in pixels."""
    return torch.from_numpy(cv2.distanceTransform(mask.numpy().astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))


def touches_border(mask: Tensor) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def in_frame(places: Tensor, margin: float = 1.0) -> Tensor:
    return ((places >= margin) & (places <= SIZE - 1 - margin)).all(dim=-1)


class Seen(NamedTuple):
    """A scene and what it looks like."""

    scene: Scene
    rendering: Rendering

    def frame(self, number: int) -> Tensor:
        return self.rendering.frames[0, number].float()

    def mask(self, number: int, place: int = 0) -> Tensor:
        return self.rendering.masks[0, place, number]

    def ground(self, number: int) -> Tensor:
        return ~self.rendering.masks[0, :, number].any(dim=0)


def seen(seed: int, index: int = 0, **choices: object) -> Seen:
    scene = sample(seed, index, **choices)
    return Seen(scene, render([scene], SIZE, SIZE))


class TestSampling:
    def test_same_seed_and_index_give_the_same_scene(self):
        first, again = sample(3, 5), sample(3, 5)
        assert first.record() == again.record()
        assert torch.equal(render([first]).frames, render([again]).frames)

    def test_seed_and_index_both_matter(self):
        records = [json.dumps(sample(seed, index).record()) for seed, index in itertools.product(range(4), range(4))]
        assert len(set(records)) == 16

    def test_stream_stays_what_it_was(self):
        """Figures and the bundled weights belong to these very streams: a change here is a change of the world."""
        scene = sample(0, 6)
        assert (scene.caption(), scene.motion) == ("a white star on a brown striped background", "bounce")
        ends = [[0.184188, 0.621577], [0.358043, 0.602264]]
        np.testing.assert_allclose(scene.tracks()[0, [0, -1]], ends, atol=1e-6)

    @pytest.mark.parametrize(("motion", "camera", "objects"), list(itertools.product(MOTIONS, CAMERAS, (1, 2))))
    def test_choices_are_kept(self, motion: str, camera: str, objects: int):
        scene = sample(1, 0, frames=9, motion=motion, camera=camera, objects=objects)
        assert (scene.motion, scene.camera, len(scene.objects), scene.frames) == (motion, camera, objects, 9)

    def test_only_the_asked_thing_moves(self):
        rest = sample(2, 0, motion="rest", camera="still", objects=1)
        assert np.ptp(rest.tracks(), axis=1).max() == 0
        assert np.ptp(rest.objects[0].radius) == np.ptp(rest.objects[0].angle) == 0
        spin = sample(2, 0, motion="spin", camera="still", objects=1)
        assert np.ptp(spin.tracks(), axis=1).max() == 0
        assert np.ptp(spin.objects[0].angle) >= 0.5 * math.pi
        growth = sample(2, 0, motion="growth", camera="still", objects=1)
        assert np.ptp(growth.tracks(), axis=1).max() == 0
        assert growth.objects[0].radius.max() / growth.objects[0].radius.min() >= 1.5

    def test_paths_are_of_the_stated_length(self):
        """Straight steps between frames cut corners, so a measured path may be a little shorter than the true one."""
        shortest, longest = PATH_LENGTHS
        for motion in ("line", "arc", "circle", "zigzag", "bounce"):
            for index in range(10):
                track = sample(4, index, motion=motion, camera="still", objects=1).tracks()[0]
                length = np.linalg.norm(np.diff(track, axis=0), axis=-1).sum()
                assert 0.9 * shortest < length < longest + 1e-6

    def test_centres_stay_inside_the_frame(self):
        for index in range(150):
            tracks = sample(5, index).tracks()
            assert tracks.min() > 0
            assert tracks.max() < 1

    @pytest.mark.slow
    def test_two_objects_are_told_apart(self):
        for index in range(40):
            scene = sample(6, index, objects=2)
            colours = {item.colour for item in scene.objects} | {scene.background.colour}
            assert len(colours) == 3
            masks = render([scene]).masks[0]
            assert masks.flatten(2).any(dim=-1).all(), "an object is hidden in some frame"


class TestCaptions:
    def test_say_shape_colour_and_background_and_nothing_else(self):
        for index in range(60):
            scene = sample(7, index)
            match = CAPTION.fullmatch(scene.caption())
            assert match
            things = [(item.colour, item.shape) for item in scene.objects]
            assert re.findall(r"an? (\S+) (\S+)", match["things"]) == things
            assert match.groups()[-2:] == (scene.background.colour, scene.background.pattern)

    def test_never_depend_on_the_motion(self):
        scene = sample(8, 0, motion="spin", objects=1)
        other = dataclasses.replace(scene.objects[0], motion="line")
        assert dataclasses.replace(scene, objects=(other,)).caption() == scene.caption()

    def test_articles(self):
        captions = " ".join(sample(9, index).caption() for index in range(80))
        assert "an orange" in captions
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", captions)

    @pytest.mark.parametrize("motion", [name for name in MOTIONS if name != "rest"])
    def test_name_the_motion_when_asked(self, motion: str):
        scene = sample(10, 0, motion=motion, objects=1)
        assert motion in scene.caption(name_motion=True).removeprefix(scene.caption().split(" on ")[0])

    def test_every_word_is_in_the_vocabulary(self):
        words = vocabulary()
        assert len(words) == len(set(words))
        for index in range(60):
            assert set(sample(11, index).caption(name_motion=True).split()) <= set(words)


class TestHeldOut:
    def test_is_a_tenth_of_all_captions(self):
        """1344 captions of one object, each kept with chance 0.1: three standard deviations are 0.025."""
        captions = [
            f"a {colour} {shape} on a {ground} {pattern} background"
            for colour, shape, ground, pattern in itertools.product(COLOURS, SHAPES, BACKGROUNDS, PATTERNS)
        ]
        assert len(captions) == 1344
        assert sum(map(held_out, captions)) / len(captions) == pytest.approx(0.1, abs=0.025)

    @pytest.mark.slow
    def test_streams_share_no_caption(self):
        training = {sample(12, index).caption() for index in range(250)}
        unseen = {sample(12, index, unseen=True).caption() for index in range(60)}
        assert len(unseen) > 40
        assert training.isdisjoint(unseen)
        assert not any(map(held_out, training))
        assert all(map(held_out, unseen))


class TestRecord:
    def test_says_what_is_seen_as_plain_json(self):
        for index in range(20):
            scene = sample(13, index)
            record = json.loads(json.dumps(scene.record(), allow_nan=False))
            assert {"caption", "motion", "camera", "background", "objects"} <= record.keys()
            assert record["background"]["pattern"] == scene.background.pattern
            plain = scene.background.pattern == "plain"
            assert record["background"]["rgb"] == [list(c) for c in BACKGROUNDS[scene.background.colour]][: 2 - plain]
            for entry, item, track in zip(record["objects"], scene.objects, scene.tracks(), strict=True):
                assert (entry["shape"], entry["colour"]) == (item.shape, item.colour)
                assert entry["rgb"] == list(COLOURS[item.colour])
                np.testing.assert_allclose(entry["track"], track, atol=1e-6)

    @pytest.mark.slow
    def test_size_is_the_diameter_on_the_screen(self):
        """A circle of size s has the area of a disc of diameter 0.95 s."""
        for index in range(60):
            clip = seen(14, index, objects=1)
            if clip.scene.objects[0].shape == "circle" and not touches_border(clip.mask(0)):
                area = clip.mask(0).sum() / SIZE**2
                diameter = 0.95 * clip.scene.record()["objects"][0]["size"]
                assert area == pytest.approx(math.pi * diameter**2 / 4, rel=0.05)


class TestRender:
    def test_shapes_and_types(self):
        rendering = render([sample(15, 0, frames=3, objects=1), sample(15, 1, frames=3, objects=2)], 40, 64)
        assert rendering.frames.shape == (2, 3, 40, 64, 3)
        assert rendering.masks.shape == (2, 2, 3, 40, 64)
        assert not rendering.masks[0, 1].any()

    def test_batch_is_the_scenes_one_by_one(self):
        scenes = [sample(16, index) for index in range(6)]
        together = render(scenes)
        for number, scene in enumerate(scenes):
            alone = render([scene])
            assert torch.equal(together.frames[number], alone.frames[0])
            assert torch.equal(together.masks[number, : len(scene.objects)], alone.masks[0])

    @pytest.mark.parametrize("shape", POLYGONS)
    @pytest.mark.parametrize("camera", CAMERAS)
    def test_objects_are_the_polygons_they_should_be(self, shape: str, camera: str):
        """Corners turned clockwise, scaled and moved by hand hold the very pixels, as OpenCV judges them."""
        scene = sample(17, 0, motion="spin", camera=camera, objects=1)
        item = dataclasses.replace(scene.objects[0], shape=shape)
        scene = dataclasses.replace(scene, objects=(item,))
        masks = render([scene], 64, 64).masks[0, 0]
        pixels = np.argwhere(np.ones((64, 64)))[:, ::-1].astype(float)
        for number in (0, 11):
            turn, size = item.angle[number], item.radius[number] * scene.zoom[number]
            corners = [
                (x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn))
                for x, y in POLYGONS[shape]
            ]
            outline = ((np.array(corners) * size + scene.tracks()[0, number]) * 64 - 0.5).astype(np.float32)
            inward = np.array([cv2.pointPolygonTest(outline, place, True) for place in pixels]).reshape(64, 64)
            clear = np.abs(inward) > 1e-3
            assert clear.mean() > 0.99
            assert ((inward > 0) == masks[number].numpy())[clear].all()

    @pytest.mark.slow
    def test_masks_are_centred_on_the_tracks(self):
        """A mask of whole pixels may be off by chance, up to most of a pixel; on the whole it is not."""
        errors = []
        for index in range(40):
            clip = seen(18, index, objects=1)
            for number, centre in enumerate(clip.scene.tracks()[0]):
                if not touches_border(clip.mask(number)):
                    errors.append(pixels_of(clip.mask(number)).mean(dim=0).numpy() + 0.5 - centre * SIZE)
        assert len(errors) > 400
        assert np.abs(errors).max() < 0.8
        assert np.abs(np.mean(errors, axis=0)).max() < 0.05

    @pytest.mark.slow
    def test_masks_hold_the_colour(self):
        for index in range(20):
            clip = seen(19, index, objects=2)
            for place, item in enumerate(clip.scene.objects):
                inner = depth(clip.mask(8, place)) > 2
                assert (clip.frame(8)[inner] == torch.tensor(COLOURS[item.colour]).float()).all()

    @pytest.mark.slow
    def test_masks_do_not_overlap(self):
        for index in range(20):
            masks = seen(20, index, objects=2).rendering.masks[0]
            assert not (masks[0] & masks[1]).any()

    def test_later_objects_lie_above(self):
        scene = sample(21, 0, objects=2)
        below, above = scene.objects
        moved = dataclasses.replace(below, centre=above.centre)
        masks = render([dataclasses.replace(scene, objects=(moved, above))]).masks[0]
        alone = render([dataclasses.replace(scene, objects=(above,))]).masks[0]
        assert torch.equal(masks[1], alone[0])
        lone_below = render([dataclasses.replace(scene, objects=(moved,))]).masks[0, 0]
        assert torch.equal(masks[0], lone_below & ~alone[0])

    @pytest.mark.parametrize("pattern", PATTERNS)
    def test_backgrounds_use_their_two_tones(self, pattern: str):
        scene = sample(22, 0, camera="still", objects=1)
        scene = dataclasses.replace(scene, background=dataclasses.replace(scene.background, pattern=pattern))
        rendering = render([scene])
        ground = rendering.frames[0, 0].float()[depth(~rendering.masks[0, 0, 0]) > 2]
        dark, light = (torch.tensor(tone).float() for tone in BACKGROUNDS[scene.background.colour])
        if pattern == "plain":
            assert (ground == dark).all()
            return
        weight = ((ground - dark) / (light - dark)).mean(dim=-1)
        assert weight.min() > -0.01
        assert weight.max() < 1.01
        pure = ((weight < 0.02) | (weight > 0.98)).float().mean()
        assert pure < 0.3 if pattern == "gradient" else pure > 0.6
        assert 0.3 < weight.mean() < 0.7


class TestDisplacement:
    def test_from_a_frame_to_itself_is_zero(self):
        for index in range(6):
            field = displacement(sample(23, index), 4, 4)
            assert field.shape == (64, 64, 2)
            assert field.abs().max() < 1e-4

    def test_of_a_panned_background(self):
        clip = seen(24, camera="pan", objects=1)
        field = displacement(clip.scene, 2, 11, SIZE, SIZE)[clip.ground(2)]
        expected = -(clip.scene.pan[11] - clip.scene.pan[2]) * SIZE
        np.testing.assert_allclose(field, np.broadcast_to(expected, field.shape), atol=1e-4)

    def test_of_a_zoomed_background(self):
        clip = seen(25, camera="zoom", objects=1)
        ground = clip.ground(3)
        field = displacement(clip.scene, 3, 14, SIZE, SIZE)[ground]
        from_middle = pixels_of(ground) + 0.5 - SIZE / 2
        growth = clip.scene.zoom[14] / clip.scene.zoom[3]
        torch.testing.assert_close(field, from_middle * (growth - 1), atol=1e-3, rtol=0)

    def test_of_a_spinning_object_keeps_distances(self):
        """A turn moves a point at distance r from the centre by the chord 2 r sin(turn / 2)."""
        clip = seen(26, motion="spin", camera="still", objects=1)
        angle = clip.scene.objects[0].angle
        places = pixels_of(clip.mask(0)) + 0.5 - torch.from_numpy(clip.scene.tracks()[0, 0]).float() * SIZE
        chord = 2 * places.norm(dim=-1) * abs(math.sin((angle[7] - angle[0]) / 2))
        field = displacement(clip.scene, 0, 7, SIZE, SIZE)[clip.mask(0)]
        torch.testing.assert_close(field.norm(dim=-1), chord, atol=1e-3, rtol=0)

    def test_on_a_frame_that_is_not_square(self):
        scene = sample(27, 0, motion="line", camera="still", objects=1)
        mask = render([scene], 48, 80).masks[0, 0, 0]
        expected = (scene.tracks()[0, 16] - scene.tracks()[0, 0]) * [80, 48]
        field = displacement(scene, 0, 16, 48, 80)[mask]
        np.testing.assert_allclose(field, np.broadcast_to(expected, field.shape), atol=1e-3)

    @pytest.mark.parametrize(("motion", "camera"), MOTIONS_AND_CAMERAS)
    def test_at_an_object_centre_is_its_track(self, motion: str, camera: str):
        """The field of an object is affine in place, so a fit over its mask gives the value at its centre."""
        clip = seen(28, motion=motion, camera=camera, objects=1)
        for start, end in ((0, 16), (12, 5)):
            places = pixels_of(clip.mask(start)) + 0.5
            field = displacement(clip.scene, start, end, SIZE, SIZE)[clip.mask(start)]
            centre, goal = torch.from_numpy(clip.scene.tracks()[0, [start, end]]).float() * SIZE
            terms = torch.cat([places - centre, torch.ones(len(places), 1)], dim=1)
            fit = torch.linalg.lstsq(terms, field).solution
            torch.testing.assert_close(terms @ fit, field, atol=1e-2, rtol=0)
            torch.testing.assert_close(fit[2], goal - centre, atol=1e-2, rtol=0)


def near_another(clip: Seen, number: int, place: int) -> bool:
    """Whether another object is so close that it may hide a part of this one."""
    others = [clip.mask(number, other) for other in range(len(clip.scene.objects)) if other != place]
    return any((depth(~other)[clip.mask(number, place)] < 3).any() for other in others)


def check_object_pixels(clip: Seen, start: int, end: int) -> int:
    """An object's pixels land as deep inside the object as its growth says, and on its colour; returns how many."""
    scene = clip.scene
    field = displacement(scene, start, end, SIZE, SIZE)
    checked = 0
    for place, item in enumerate(scene.objects):
        if any(near_another(clip, number, place) for number in (start, end)):
            continue
        if touches_border(clip.mask(start, place)) or touches_border(clip.mask(end, place)):
            continue
        before, after = depth(clip.mask(start, place)), depth(clip.mask(end, place))
        growth = item.radius[end] * scene.zoom[end] / (item.radius[start] * scene.zoom[start])
        inside = clip.mask(start, place)
        landing = pixels_of(inside) + field[inside]
        # A pixel's depth reaches to the nearest centre outside, half a pixel beyond the outline.
        expected = (before[inside] - 0.5) * growth + 0.5
        found = at(after[..., None], landing)[:, 0]
        assert (found - expected).abs().max() < 1 + growth
        assert (found - expected).abs().mean() < 0.3 + 0.3 * growth
        deep = expected > 3
        colour = torch.tensor(COLOURS[item.colour]).float()
        assert ((at(clip.frame(end), landing[deep]) - colour).abs() < 1).all()
        checked += int(inside.sum())
    return checked


def check_background_pixels(clip: Seen, start: int, end: int) -> int:
    """Background pixels that stay in view land on the same colour; returns how many."""
    field = displacement(clip.scene, start, end, SIZE, SIZE)
    open_start, open_end = (depth(clip.ground(number)) for number in (start, end))
    chosen = open_start > 2
    landing = pixels_of(chosen) + field[chosen]
    kept = in_frame(landing)
    kept &= at(open_end[..., None], landing)[:, 0] > 2
    error = (at(clip.frame(end), landing[kept]) - clip.frame(start)[chosen][kept]).abs().amax(dim=-1)
    assert error.mean() < 2.5
    assert error.quantile(0.98) < 20
    return int(kept.sum())


class TestWarp:
    @pytest.mark.parametrize(("motion", "camera"), MOTIONS_AND_CAMERAS)
    def test_carries_pixels_to_themselves(self, motion: str, camera: str):
        checked = {"object": 0, "background": 0}
        for index in range(3):
            clip = seen(29, index, motion=motion, camera=camera, objects=1)
            for start, end in ((0, 16), (10, 4)):
                checked["object"] += check_object_pixels(clip, start, end)
                checked["background"] += check_background_pixels(clip, start, end)
        assert checked["object"] > 1000
        assert checked["background"] > 5000

    @pytest.mark.slow
    @pytest.mark.parametrize(("motion", "camera"), MOTIONS_AND_CAMERAS)
    def test_carries_pixels_in_many_scenes(self, motion: str, camera: str):
        for index in range(6):
            clip = seen(30, index, motion=motion, camera=camera)
            for start, end in itertools.permutations((0, 6, 11, 16), 2):
                check_object_pixels(clip, start, end)
                check_background_pixels(clip, start, end)

    @pytest.mark.parametrize("camera", ["pan", "zoom"])
    def test_can_fail_on_backgrounds(self, camera: str):
        clip = seen(31, camera=camera, objects=1)
        ground = dataclasses.replace(clip.scene.background, pattern="checkered")
        scene = dataclasses.replace(clip.scene, background=ground)
        clip = Seen(scene, render([scene], SIZE, SIZE))
        check_background_pixels(clip, 0, 16)
        frozen = dataclasses.replace(scene, pan=scene.pan[::-1].copy(), zoom=scene.zoom[::-1].copy())
        with pytest.raises(AssertionError):
            check_background_pixels(Seen(frozen, clip.rendering), 0, 16)

    @pytest.mark.parametrize("motion", ["line", "spin", "growth"])
    def test_can_fail_on_objects(self, motion: str):
        clip = seen(32, motion=motion, camera="still", objects=1)
        item = dataclasses.replace(clip.scene.objects[0], shape="bar")
        scene = dataclasses.replace(clip.scene, objects=(item,))
        clip = Seen(scene, render([scene], SIZE, SIZE))
        assert check_object_pixels(clip, 0, 6)
        wrong = dataclasses.replace(
            item, centre=item.centre[::-1].copy(), angle=-item.angle, radius=item.radius[::-1].copy()
        )
        with pytest.raises(AssertionError):
            check_object_pixels(Seen(dataclasses.replace(scene, objects=(wrong,)), clip.rendering), 0, 6)
