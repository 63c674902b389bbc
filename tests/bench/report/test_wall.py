"""Videos on a page: which, how large, and none from elsewhere."""

import base64
from pathlib import Path

import pytest

from motionlift.bench.report import wall as walls
from motionlift.bench.report.summary import sections
from motionlift.bench.report.wall import Embedder, Tile, wall
from motionlift.video.clip import Clip
from tests.bench.made_records import record, video


def data_of(tile: Tile) -> bytes:
    return base64.b64decode((tile.video or tile.picture).partition("base64,")[2])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    video(tmp_path / "run" / "videos" / "one.mp4")
    return tmp_path / "run"


def test_a_small_video_is_embedded_as_it_is(folder: Path):
    tile = Embedder(folder).tile("smm", "videos/one.mp4", record("smm", 0, {}))
    assert tile.video.startswith("data:video/mp4;base64,")
    assert data_of(tile) == (folder / "videos" / "one.mp4").read_bytes()


def test_a_large_video_is_made_smaller(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(walls, "MOST_VIDEO_BYTES", 100)
    video(folder / "videos" / "large.mp4", side=320)
    about = record("smm", 0, {}, height=320, width=320)
    (tmp_path / "small.mp4").write_bytes(data_of(Embedder(folder).tile("smm", "videos/large.mp4", about)))
    clip = Clip.read(tmp_path / "small.mp4", frames=9, fps=8, aspect=(1, 1))
    assert clip.frames.shape == (9, 160, 160, 3)


def test_beyond_the_bound_there_are_pictures(folder: Path, monkeypatch: pytest.MonkeyPatch):
    size = (folder / "videos" / "one.mp4").stat().st_size
    monkeypatch.setattr(walls, "MOST_BYTES", 2 * size)
    embedder = Embedder(folder)
    tiles = [embedder.tile("smm", "videos/one.mp4", record("smm", 0, {})) for _ in range(3)]
    assert [bool(tile.video) for tile in tiles] == [True, True, False]
    assert tiles[2].picture.startswith("data:image/webp;base64,") and data_of(tiles[2])[8:12] == b"WEBP"


@pytest.mark.parametrize("place", ["../secret.mp4", "/etc/passwd", "videos/../../secret.mp4", "videos/link.mp4", 7, None,
                                   "videos/gone.mp4", "videos", "videos/notes.txt", "nul\0.mp4"])  # fmt: skip
def test_nothing_else_is_embedded(folder: Path, place: object):
    video(folder.parent / "secret.mp4")
    (folder / "videos" / "notes.txt").write_text("mine")
    (folder / "videos" / "link.mp4").symlink_to(folder.parent / "secret.mp4")
    assert Embedder(folder).tile("smm", place, {}) == Tile("smm", problem="not there")


def test_a_video_that_cannot_be_made_smaller(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(walls, "MOST_VIDEO_BYTES", 3)
    (folder / "videos" / "bad.mp4").write_bytes(b"nonsense")
    embedder = Embedder(folder)
    assert embedder.tile("smm", "videos/bad.mp4", record("smm", 0, {})).problem == "cannot be read"
    assert embedder.tile("smm", "videos/one.mp4", {"frames": "x"}).problem == "cannot be read"


def test_the_wall_shows_references_from_first_to_last(folder: Path):
    records = [
        record(method, index, {}, seed=seed, video="videos/one.mp4", reference_video="videos/one.mp4")
        for index in range(40) for seed in (0, 1) for method in ("none", "smm")
        if not (method == "smm" and seed == 0)
    ]  # fmt: skip
    found = wall(sections(records)[0], Embedder(folder))
    assert len(found.lines) == walls.MOST_ROWS and found.tasks == 80
    assert [line.about for line in (found.lines[0], found.lines[-1])] == ["world 0000, seed 1", "world 0039, seed 1"]
    for line in found.lines:
        assert [tile.title for tile in line.tiles] == ["reference", "none", "smm"] and all(
            tile.video for tile in line.tiles
        )


def test_methods_that_have_no_place_are_counted(folder: Path):
    records = [record(f"m{number}", 0, {}) for number in range(walls.MOST_METHODS + 3)]
    found = wall(sections(records)[0], Embedder(folder))
    assert (found.shown, found.methods) == (walls.MOST_METHODS, walls.MOST_METHODS + 3)
    assert len(found.lines[0].tiles) == 1 + found.shown


def test_methods_come_before_controls_and_stand_where_the_table_has_them(folder: Path):
    controls = [record("inverted", 0, {}, settings={"beta": number / 10}) for number in range(1, 6)]
    records = [record("frozen", 0, {}), record("none", 0, {}), *controls]
    records += [record(f"m{number}", 0, {}) for number in range(walls.MOST_METHODS - 3)]
    found = wall(sections(records)[0], Embedder(folder))
    shown = [tile.title for tile in found.lines[0].tiles[1:]]
    methods = [f"m{number}" for number in range(walls.MOST_METHODS - 3)]
    assert len(shown) == walls.MOST_METHODS and {"none", *methods} <= {*shown}
    assert shown == [row.title for row in sections(records)[0].rows if row.title in shown]


@pytest.mark.parametrize("name", ["frames", "height", "width", "fps"])
@pytest.mark.parametrize("value", [-1, 1e-300, 1e15, pytest.param(10**400, id="endless"), "x"])
def test_what_a_record_says_of_a_large_video_is_bounded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object
):
    monkeypatch.setattr(walls, "MOST_VIDEO_BYTES", 3)
    tile = Embedder(folder).tile("smm", "videos/one.mp4", record("smm", 0, {}, **{name: value}))
    assert tile.problem == "cannot be read" or tile.video


def test_what_failed_has_no_video(folder: Path):
    failed = {**record("none", 0, {}), "error": "no"}
    found = wall(sections([failed, record("smm", 0, {}, video="videos/one.mp4")])[0], Embedder(folder))
    assert [tile.problem for tile in found.lines[0].tiles] == ["not there", "not measured", ""]
