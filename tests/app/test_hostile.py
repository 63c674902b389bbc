"""Uploads and names that mean harm: each is refused in a line, or made harmless, and leaves nothing behind.

What is done by hand is tried in a browser, in ``test_page.py``: HTML in names and prompts, two windows that delete one
motion, a page that is loaded again during a cast, and a server that is killed in the middle of a task.
"""

import io
import stat
import struct
import time
import zipfile
import zlib
from fractions import Fraction
from html import escape
from pathlib import Path

import av
import gradio as gr
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from PIL import Image

from motionlift.app import uploads
from motionlift.app.jobs import Jobs
from motionlift.app.page import built
from motionlift.app.tasks import Task
from motionlift.app.uploads import taken_clip
from motionlift.app.workspace import MOTION, Workspace, new_token
from motionlift.errors import InputError
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.work.lift import lift
from motionlift.world.scenes import render, sample
from tests import twins

LONGEST = 20.0
"""Seconds within which one is refused, on a slow machine: none is decoded as a whole."""


def picture(shade: int) -> bytes:
    written = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), shade, np.uint8)).save(written, "PNG")
    return written.getvalue()


def huge_gif(place: Path) -> None:
    """Some hundred bytes that say they are 65535x65535."""
    written = io.BytesIO()
    first, *others = (Image.new("P", (16, 16), shade) for shade in range(3))
    first.save(written, "GIF", save_all=True, append_images=others, duration=100)
    content = bytearray(written.getvalue())
    content[6:10] = struct.pack("<HH", 65535, 65535)
    place.write_bytes(content)


def huge_png(place: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0))
    place.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b""))


def recorded(place: Path, seconds: list[float], codec: str = "libvpx") -> None:
    """Frames at these times, as a browser writes them while they come: without a duration."""
    with av.open(str(place), "w", options={"live": "1"} if codec == "libvpx" else {}) as container:
        stream = container.add_stream(codec, rate=10)
        assert isinstance(stream, VideoStream)
        stream.width = stream.height = 64
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 10)
        for number, second in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 20 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(10 * second), Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def raw_stream(place: Path) -> None:
    """Frames that say nothing of their times, at 5 a second."""
    codec = av.CodecContext.create("libx264", "w")
    assert isinstance(codec, VideoCodecContext)
    codec.width = codec.height = 16
    codec.pix_fmt, codec.framerate, codec.time_base = "yuv420p", Fraction(5), Fraction(1, 5)
    codec.options = {"preset": "ultrafast", "crf": "51"}
    shades = [av.VideoFrame.from_ndarray(np.full((16, 16, 3), shade, np.uint8), format="rgb24") for shade in (10, 200)]
    codec.gop_size = 100_000
    with place.open("wb") as file:
        for number in range(5 * 660):
            frame = shades[number // 99 % 2].reformat(format="yuv420p")
            frame.pts = number
            file.writelines(bytes(packet) for packet in codec.encode(frame))
        file.writelines(bytes(packet) for packet in codec.encode(None))


def slow_webp(place: Path, seconds: int) -> None:
    first, *others = (Image.new("RGB", (16, 16), (60 * shade, 0, 0)) for shade in range(4))
    first.save(place, save_all=True, append_images=others, duration=1000 * seconds)


def packed(place: Path, files: dict[str | zipfile.ZipInfo, bytes]) -> None:
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def link(name: str) -> zipfile.ZipInfo:
    """An entry that unpackers of Unix make a symbolic link of."""
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return entry


HOSTILE = {
    "a GIF that unpacks to 12 GB": ("bomb.gif", huge_gif, "is 65535x65535 pixels"),
    "a zip that unpacks to a thousand times its size": (
        "bomb.zip",
        lambda place: packed(place, {"a.png": bytes(2**24)}),
        "unpacks to more than 8 MB",
    ),
    "a zip with paths upward": (
        "up.zip",
        lambda place: packed(place, {"../../up.png": picture(1), "up.png": picture(2)}),
        "holds up.png twice",
    ),
    "a zip with a link": (
        "link.zip",
        lambda place: packed(place, {link("0.png"): b"/etc/passwd", "1.png": picture(2)}),
        "0.png",
    ),
    "a zip in a zip": ("in.zip", lambda place: packed(place, {"in.zip": b"PK"}), "holds 'in.zip'"),
    "a video of ten hours": (
        "long.webm",
        lambda place: recorded(place, [0, 0.1, 36000]),
        "lasts longer than the 600 seconds",
    ),
    "a video of ten hours that says it is short": (
        "long.mp4",
        lambda place: recorded(place, [0, 0.1, 0.2, 36000], "libx264"),
        "lasts longer than the 600 seconds",
    ),
    "a stream without times, of eleven minutes": ("long.h264", raw_stream, "lasts longer than the 600 seconds"),
    "a WebP of four hours": ("long.webp", lambda place: slow_webp(place, 3600), "lasts longer than the 600 seconds"),
    "HTML, and in the name too": (
        "<img src=x onerror=alert(1)>.mp4",
        lambda place: place.write_text("<script>alert(1)</script>"),
        "img src-x onerror-alert-1-.mp4",
    ),
    "nothing": ("empty.mp4", Path.touch, "empty.mp4 is empty"),
    "a picture of 20000x20000": ("huge.png", huge_png, "is 20000x20000 pixels"),
}
"""What is tried: name of the file, what makes it, and what is said."""


@pytest.mark.parametrize(("name", "make", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_uploads_are_refused_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, make, message: str
):
    monkeypatch.setattr(uploads, "MOST_BYTES", 2**23)
    own, upload = Workspace(tmp_path / "data" / "own"), tmp_path / "came" / name
    upload.parent.mkdir()
    make(upload)
    assert upload.stat().st_size < 100_000
    began = time.monotonic()
    with pytest.raises(InputError) as found:
        taken_clip(upload, own)
    told = str(found.value)
    assert message in told and "\n" not in told and str(tmp_path) not in told and "<" not in told
    assert time.monotonic() - began < LONGEST
    assert [place for place in tmp_path.rglob("*") if place.is_file()] == [upload]


def test_a_wrong_suffix_is_no_harm_and_nor_is_a_clip_without_a_duration(tmp_path: Path):
    own, upload = Workspace(tmp_path / "own"), tmp_path / "recorded.gif"
    recorded(tmp_path / "recorded.webm", [number / 10 for number in range(12)])
    with av.open(str(tmp_path / "recorded.webm")) as container:
        assert container.duration is None
    assert taken_clip(tmp_path / "recorded.webm", own) == "recorded.webm"
    (tmp_path / "recorded.webm").rename(upload)
    assert taken_clip(upload, own) == "recorded.gif"


class Idle:
    def __init__(self):
        self.tasks: list[Task] = []

    def made(self, task, workspace, live) -> tuple[str, ...]:
        self.tasks.append(task)
        return ()

    def forget(self) -> None:
        """There is nothing."""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Motion]:
    """A pipeline in a folder of the server, and a motion that was lifted by it there."""
    place = tmp_path_factory.mktemp("secret") / "pipeline"
    twins.cogvideox().save_pretrained(place)
    clip = Clip.of(render([sample(3, 1, 9, motion="line", camera="still")], 32, 32).frames[0], 8)
    return place, lift(clip, str(place), "ditflow", settings={"steps": 2}, cached=False)


def asked(data: Path, pipeline: tuple[Path, Motion], model: str, folders: bool) -> tuple[list[str], list[Task]]:
    """What all handlers of the page that take a model say of one, and what comes into the queue."""
    idle, token = Idle(), new_token()
    jobs = Jobs(data, idle)
    page = built(jobs, data, "0" * 64, "cpu", folders)
    own = Workspace.of(data, token)
    Clip.of(render([sample(3, 1, 9)], 32, 32).frames[0], 8).save(own.new("clip", ".mp4"))
    pipeline[1].save(own.new("star", MOTION))
    handlers = [(each.name, each.fn, len(each.inputs)) for each in page.fns.values() if each.fn is not None]
    part = (0, 0, "the middle", 0.5, 0.5)
    given = {
        ("follow", 9): (token, "clip.mp4", *part, "ditflow", model, {}),
        ("planned", 6): (token, f"star{MOTION}", "a star", model, {}, None),
        ("go", 11): (token, "clip.mp4", "mine", *part, "ditflow", model, {}),
        ("go", 8): (token, f"star{MOTION}", "a star", "0", "draft", model, {}, None),
    }
    told = []
    for (name, count), values in given.items():
        handler = next(own for title, own, inputs in handlers if title == name and inputs in (count, len(values)))
        try:
            found = handler(*values)
            told.append(found if isinstance(found, str) else found[-1])
        except gr.Error as error:
            told.append(error.message)
    jobs.close()
    return told, idle.tasks


@pytest.mark.slow
@pytest.mark.parametrize("way", ["{}", "tiny-dit+{}", "{}+tiny-dit"])
def test_a_path_of_the_server_is_no_model_and_nothing_is_told_of_it(tmp_path: Path, pipeline, way: str):
    place, _ = pipeline
    said = set()
    for number, path in enumerate((place, place.parent, place / "model_index.json", place / "nothing")):
        model = way.format(path)
        told, tasks = asked(tmp_path / str(number), pipeline, model, folders=False)
        assert tasks == [] and all("is not to be had on this page" in each for each in told), told
        said.add(tuple(each.replace(escape(model), "").replace(model, "") for each in told))
    assert len(said) == 1


@pytest.mark.slow
def test_where_nobody_else_reaches_the_page_a_folder_is_a_model(tmp_path: Path, pipeline):
    told, _ = asked(tmp_path, pipeline, str(pipeline[0]), folders=True)
    assert "The model gets 9 frames" in told[0] and "GB" in told[1] and all("in the queue" in each for each in told[2:])
