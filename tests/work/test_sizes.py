"""Sizes that go by the shape of the reference."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import motionlift
from motionlift.core.lattice import Shape
from motionlift.models.families import families
from motionlift.models.sources import BUNDLED_MODELS
from motionlift.models.transformer import Published, Row, Transformer
from motionlift.video.clip import Clip
from motionlift.work.cast import transfer
from motionlift.work.lift import lift
from motionlift.work.prepare import ask, aspect_of, nearest_size, prepare
from tests.twins import TRANSFORMERS
from tests.work.trials import PROMPT, QUICK, a_clip

UPRIGHT, WIDE = (64, 32), (32, 64)
"""Heights and widths."""


@pytest.fixture(scope="module")
def model() -> Transformer:
    """A Wan that was made for wide videos and for upright ones, and for some that are larger."""
    twin = TRANSFORMERS["wan-2.1"]
    row = replace(
        twin.row,
        size=lambda _: WIDE,
        sizes=(WIDE, UPRIGHT, (64, 128)),
    )
    return row(twin.build(), "twin", torch.device("cpu"))


def test_sizes_as_large_as_its_own_are_known(model: Transformer):
    assert model.about.shape == Shape(9, *WIDE) and model.about.sizes == (UPRIGHT,)


@pytest.mark.parametrize(
    ("aspect", "size"), [(16 / 9, None), (9 / 16, (32, 64)), (1.01, None), (0.99, (32, 64)), (5.0, None), (None, None)]
)
def test_the_nearest_shape_is_taken(model: Transformer, aspect: float | None, size: tuple[int, int] | None):
    assert nearest_size(model, aspect) == size


@pytest.mark.slow
def test_an_upright_clip_makes_an_upright_video(model: Transformer):
    clip = a_clip(height=96, width=54, fps=16.0)
    motion = lift(clip, model, settings=QUICK, cached=False)
    assert motion.source.shape == Shape(9, *UPRIGHT)
    made = transfer(clip, PROMPT, model, settings=QUICK, cached=False)
    assert tuple(made.clip.frames.shape[1:3]) == UPRIGHT
    assert (
        "made at 32x64, nearer to the shape of the reference than 64x32: --size 64x32 for that"
        in made.record["notices"]
    )
    asked = transfer(clip, PROMPT, model, settings=QUICK, cached=False, size=(64, 32))
    assert tuple(asked.clip.frames.shape[1:3]) == WIDE and "notices" not in asked.record


def test_without_a_reference_it_is_the_models_own(model: Transformer):
    assert prepare(ask("none", prompt=PROMPT), model).shape == Shape(9, *WIDE)


@pytest.mark.parametrize("name", BUNDLED_MODELS)
def test_models_of_one_size_keep_it(name: str):
    model = motionlift.load(name)
    assert model.about.sizes == () and nearest_size(model, 0.5) is None


def test_a_file_says_its_shape_and_what_is_none_says_nothing(tmp_path: Path):
    a_clip(height=64, width=32).save(tmp_path / "x.mp4")
    (tmp_path / "y.mp4").write_bytes(b"no video")
    assert aspect_of(tmp_path / "x.mp4") == 0.5
    assert aspect_of(Clip.of(torch.zeros(2, 20, 30, 3, dtype=torch.uint8), 8)) == 1.5
    assert aspect_of(tmp_path / "y.mp4") is None and aspect_of(tmp_path / "z.mp4") is None


def every_size() -> list[tuple[int, int]]:
    """Sizes of all rows and of their published models."""
    rows = [row for row in families().values() if isinstance(row, Row)]
    published: list[Published] = [own for row in rows for own in row.published.values()]
    return [size for each in (*rows, *published) for size in each.sizes]


def test_sizes_come_upright_and_wide():
    sizes = every_size()
    assert len(sizes) > 10 and all((width, height) in sizes for height, width in sizes)
    assert all(side % 16 == 0 for size in sizes for side in size)


def own_sizes(twin: str, name: str = "twin", target: int | None = None) -> Transformer:
    """A twin that has the size of its published model."""
    pipeline, family = TRANSFORMERS[twin].build(), TRANSFORMERS[twin].row.family
    if target is not None:
        pipeline.target_size = target
        pipeline.video_processor.register_to_config(vae_scale_factor=16)
    return families()[family](pipeline, name, torch.device("cpu"))


@pytest.mark.parametrize(
    ("twin", "name", "own", "upright"),
    [
        ("ltx-2", "twin", (768, 512), (512, 768)),
        ("skyreels", "twin", (960, 544), (544, 960)),
        ("skyreels", "Skywork/SkyReels-V2-T2V-14B-720P-Diffusers", (1280, 720), (720, 1280)),
        ("hunyuan", "Skywork/SkyReels-V1-Hunyuan-T2V", (960, 544), (544, 960)),
    ],
)
def test_published_sizes_are_upright_for_upright_references(
    twin: str, name: str, own: tuple[int, int], upright: tuple[int, int]
):
    model = own_sizes(twin, name)
    assert (model.about.shape.width, model.about.shape.height) == own
    assert nearest_size(model, 16 / 9) is None and nearest_size(model, 9 / 16) == upright


def test_lengths_and_guidance_are_those_of_the_named_model():
    assert own_sizes("skyreels", "SkyReels-V2-T2V-14B-720P-Diffusers").about.shape.frames == 121
    first = own_sizes("hunyuan", "SkyReels-V1-Hunyuan-T2V")
    assert first.about.shape.frames == 97 and first.about.defaults["cfg"] == 6.0
    assert nearest_size(first, 1.0) == (720, 720) and first._said["guidance_scale"] == 1.0


@pytest.mark.parametrize(
    ("target", "aspect", "size"),
    [
        (640, 16 / 9, None),
        (640, 9 / 16, (480, 848)),
        (640, 1.0, (640, 640)),
        (640, 4 / 3, (720, 544)),
        (960, 9 / 16, (720, 1280)),
        (960, 1.0, (960, 960)),
        (960, 100.0, (1920, 480)),
    ],
)
def test_hunyuan15_has_a_size_for_every_shape(target: int, aspect: float, size: tuple[int, int] | None):
    model = own_sizes("hunyuan-1.5", target=target)
    assert nearest_size(model, aspect) == size
    assert all(abs(height * width / target**2 - 1) < 0.1 for height, width in model.about.sizes)


@pytest.mark.parametrize("twin", ["mochi", "allegro"])
def test_models_published_for_one_size_keep_it(twin: str):
    assert nearest_size(own_sizes(twin), 9 / 16) is None
