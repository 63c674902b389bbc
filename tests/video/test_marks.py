"""Files of ours are told from all others, each kind from the others, and what was changed since from what we wrote."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import av
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from motionlift.loops.checkpoint import save_checkpoint
from motionlift.motion.file import write_motion
from motionlift.video import marks
from motionlift.video.clip import Clip
from motionlift.video.marks import (
    ADAPTER,
    CHECKPOINT,
    CLIP,
    DRAWING,
    KEY,
    MOTION,
    PICTURE,
    RECORD,
    SHEET,
    TAILS,
    TRUTH,
    VIDEO,
    WORLD,
    Kind,
    signed,
    signed_text,
    table_of,
)
from motionlift.video.sheets import contact_sheet, moving_picture
from motionlift.video.writing import write_json
from tests.motion.test_file import a_motion

PAGE, TABLES, TABLE = signed("page", ".html"), signed("tables", ".md"), table_of("table", ("a", "b"))
FRAMES = Clip.of(torch.arange(3 * 16 * 16 * 3).reshape(3, 16, 16, 3).to(torch.uint8), 8.0)
TELLING = {"caption": "a «star»", "objects": [{"track": (0.1, 1e-9)}], "shares": [float("nan"), 3.0]}

WRITERS: dict[Kind, Callable[[Path], object]] = {
    **{kind: lambda path, kind=kind: FRAMES.save(path, kind) for kind in (VIDEO, CLIP, WORLD, DRAWING)},
    **{kind: lambda path, kind=kind: write_json(path, kind, TELLING, 1) for kind in (RECORD, TRUTH)},
    MOTION: lambda path: write_motion(path, a_motion()),
    ADAPTER: lambda path: save_file({"x": torch.zeros(1)}, path, {KEY: ADAPTER.name}),
    CHECKPOINT: lambda path: save_checkpoint(path, 1, {"layer": torch.nn.Linear(2, 2)}, {}),
    SHEET: lambda path: contact_sheet(FRAMES, path),
    PICTURE: lambda path: moving_picture([("label", FRAMES)], path),
    **{
        kind: lambda path, kind=kind: path.write_bytes(signed_text(kind, "<p>« \udcff »\r\n").encode(errors="replace"))
        for kind in (PAGE, TABLES)
    },
    TABLE: lambda path: path.write_text("a,b\r\n1,2\r\n", newline=""),
}


@pytest.mark.parametrize("kind", WRITERS, ids=lambda kind: kind.name)
def test_each_kind_knows_its_own_files_alone(tmp_path: Path, kind: Kind):
    for number, (other, write) in enumerate(WRITERS.items()):
        path = tmp_path / f"{number}{next(iter(other.suffixes), '.safetensors')}"
        write(path)
        assert kind.wrote(path) == (kind is other), other.name


@pytest.mark.parametrize("kind", WRITERS, ids=lambda kind: kind.name)
def test_what_holds_anything_else_is_nobody_s_of_ours(tmp_path: Path, kind: Kind):
    path = tmp_path / f"file{next(iter(kind.suffixes), '')}"
    assert not kind.wrote(path), "there is none"
    picture = tmp_path / "picture.png"
    Image.new("RGB", (4, 4)).save(picture)
    nested = b"[" * 10**5
    for data in (b"", b"mine", b"\0" * 200, b"{}", b"[1]", nested, b"\xff" * 9, picture.read_bytes(), b"a,b,c\n", b"a"):
        path.write_bytes(data)
        assert not kind.wrote(path), data[:20]
    path.unlink()
    path.mkdir()
    assert not kind.wrote(path)


@pytest.mark.parametrize("kind", [VIDEO, CLIP, RECORD, TRUTH, PAGE, TABLES], ids=lambda kind: kind.name)
def test_what_somebody_changed_is_theirs(tmp_path: Path, kind: Kind):
    path = tmp_path / f"file{kind.suffixes[0]}"
    WRITERS[kind](path)
    data = path.read_bytes()
    if kind.suffixes == (".json",):
        told = json.loads(data)
        path.write_text(json.dumps(dict(reversed(told.items()))))
        assert kind.wrote(path), "in another order it says the same"
        path.write_text(json.dumps({**told, "notes": "mine"}))
    else:
        middle = len(data) // 4
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    assert not kind.wrote(path)
    path.write_bytes(data + b"mine")
    assert not kind.wrote(path)
    path.write_bytes(data)
    assert kind.wrote(path)


def test_a_video_that_another_program_made_of_ours_is_not_ours(tmp_path: Path):
    """Programs that copy a video's description with it do not copy the mark."""
    FRAMES.save(tmp_path / "ours.mp4", VIDEO)
    with av.open(str(tmp_path / "ours.mp4")) as given, av.open(str(tmp_path / "theirs.mp4"), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        made.metadata.update(given.metadata)
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    assert VIDEO.wrote(tmp_path / "ours.mp4") and not VIDEO.wrote(tmp_path / "theirs.mp4")


def test_the_mark_of_a_video_is_a_box_that_readers_skip(tmp_path: Path):
    """ISO/IEC 14496-12: a box is its length, its type, and what is in it; of type ``uuid``, sixteen bytes say whose it is."""
    FRAMES.save(tmp_path / "a.mp4")
    data, boxes = (tmp_path / "a.mp4").read_bytes(), []
    place = 0
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        boxes.append((data[place + 4 : place + 8], length))
        place += length
    assert place == len(data)
    assert [name for name, _ in boxes if name != b"free"] == [b"ftyp", b"moov", b"mdat", b"uuid"] and boxes[-1][1] == 72
    assert len(Clip.read(tmp_path / "a.mp4", frames=3, fps=8, aspect=(16, 16)).frames) == 3
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 3


def earlier_record(path: Path, **told: object) -> dict[str, object]:
    """The record of a video as versions without marks wrote it."""
    names = ("prompt", "seed", "method", "settings", "model", "motion_sha256")
    output = {"path": "x.mp4", "sha256": marks.hash_of(path).hex()}
    return {**dict.fromkeys(names, ""), "versions": {"motionlift": "0.1.0"}, "output": output, **told}


def test_a_video_of_a_version_without_marks_is_told_by_its_record(tmp_path: Path):
    video, record = tmp_path / "a.mp4", tmp_path / "a.json"
    FRAMES.save(video)
    video.write_bytes(video.read_bytes()[:-72])
    assert not VIDEO.wrote(video)
    record.write_text(json.dumps(earlier_record(video)))
    assert RECORD.wrote(record) and VIDEO.wrote(video)
    assert not CLIP.wrote(video) and not TRUTH.wrote(record)
    video.write_bytes(video.read_bytes() + b"mine")
    assert not VIDEO.wrote(video)
    record.write_text(json.dumps({"output": {"sha256": marks.hash_of(video).hex()}}))
    assert not RECORD.wrote(record) and not VIDEO.wrote(video)


def test_a_truth_and_a_page_of_a_version_without_marks(tmp_path: Path):
    path = tmp_path / "0000.json"
    told = dict.fromkeys(("caption", "motion", "camera", "background", "objects"), "")
    path.write_text(json.dumps(told))
    assert TRUTH.wrote(path) and not RECORD.wrote(path)
    path.write_text(json.dumps({**told, "notes": "mine"}))
    assert not TRUTH.wrote(path)
    page, kind = tmp_path / "a.html", signed("page", ".html", "<title>our page</title>")
    page.write_text("<title>our page</title>")
    assert kind.wrote(page) and not PAGE.wrote(page)
    page.write_bytes(signed_text(PAGE, "<title>our page</title>").encode())
    assert not kind.wrote(tmp_path / "none.html") and PAGE.wrote(page)


def test_nothing_is_unpickled(tmp_path: Path):
    trace = tmp_path / "trace"

    class Traced:
        def __reduce__(self):
            return Path.touch, (trace,)

    for kind in WRITERS:
        path = tmp_path / f"file{next(iter(kind.suffixes), '')}"
        path.write_bytes(pickle.dumps(Traced()))
        assert not kind.wrote(path) and not trace.exists()


@pytest.mark.parametrize("suffix", TAILS)
def test_a_video_of_any_form_that_somebody_changed_is_theirs(tmp_path: Path, suffix: str):
    path = tmp_path / f"a{suffix}"
    FRAMES.save(path, VIDEO)
    data = path.read_bytes()
    assert VIDEO.wrote(path) and not CLIP.wrote(path)
    for other in (
        data[:-1],
        data + b"0",
        data[1:],
        data[:40] + bytes([data[40] ^ 1]) + data[41:],
        data[-120:],
        data[-80:],
    ):
        path.write_bytes(other)
        assert not VIDEO.wrote(path)


def test_tables_of_earlier_versions_are_known_by_the_heads_that_they_had(tmp_path: Path):
    path, kind = tmp_path / "table.csv", table_of("table", ("a", "b", "c"), ("a", "b"))
    for head, is_ours in (("a,b,c", True), ("a,b", True), ("a", False), ("a,b,c,d", False)):
        path.write_text(f"{head}\n1\n")
        assert kind.wrote(path) == is_ours
