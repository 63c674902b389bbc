"""A motion file comes back as it was, or is refused in one line."""

import json
import math
import pickle
import re
import resource
import struct
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save, save_file

from motionlift.core.lattice import Lattice, Shape
from motionlift.errors import MotionError, OutputError
from motionlift.motion.file import ASIDE, FORMAT, KEY, Motion, Source
from motionlift.video.part import Part, Taken

GRID = Lattice(3, 2, 4)
FULL = "Error while serializing: I/O error: No space left on device (os error 28)"
"""What safetensors says of a full disk."""


def a_motion(**changes: Any) -> Motion:
    generator = torch.Generator().manual_seed(0)
    field = torch.randn(3, 3, 8, 2, generator=generator)
    field[0, 1, 3] = math.nan
    tensors = {
        "latents": torch.randn(1, 4, 3, 4, 8, generator=generator),
        "displacement.4": field,
        "channels.4": torch.tensor([7, 1, 3]),
        "features.4": torch.randn(24, 3, generator=generator).half(),
    }
    motion = Motion(
        tensors=tensors,
        method="ditflow",
        settings={"steps": 30, "lr": 0.02, "block": (4, 2), "inject": True, "read": "attention"},
        model="some/model",
        identity="ab" * 32,
        lattice=GRID,
        source=Source("cd" * 32, 8.0, Shape(9, 32, 64)),
        version="0.1.0",
    )
    return replace(motion, **changes)


def assert_same(one: Motion, other: Motion):
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert tensor.dtype == other.tensors[name].dtype
        assert tensor.numpy().tobytes() == other.tensors[name].numpy().tobytes(), name
    assert replace(one, tensors={}) == replace(other, tensors={})


def about(**changes: Any) -> dict[str, Any]:
    """Metadata as a file holds it, with entries changed; ``None`` drops one."""
    told = {
        "format": FORMAT,
        "method": "ditflow",
        "settings": {"steps": 30},
        "model": "some/model",
        "identity": "ab" * 32,
        "grid": {"frames": 3, "height": 2, "width": 4},
        "source": {"sha256": "cd" * 32, "fps": 8.0, "shape": {"frames": 9, "height": 32, "width": 64}},
        "version": "0.1.0",
    } | changes
    return {name: value for name, value in told.items() if value is not None}


def refused(path: Path) -> str:
    """The one line that a file is refused with."""
    with pytest.raises(MotionError) as caught:
        Motion.load(path)
    message = str(caught.value)
    assert "\n" not in message and message.isprintable()
    assert len(message) < 600
    assert path.name[:40] in message
    return message


def written(path: Path, told: Any, tensors: Mapping[str, torch.Tensor] | None = None) -> Path:
    text = told if isinstance(told, str) else json.dumps(told)
    path.write_bytes(save(dict(tensors or {"latents": torch.zeros(1)}), {KEY: text}))
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "walk.safetensors"


def test_round_trip(target: Path):
    motion = a_motion()
    motion.save(target)
    loaded = Motion.load(target)
    assert_same(motion, loaded)
    assert loaded.digest() == motion.digest()


def test_what_is_known_of_the_reference_comes_back_and_is_no_part_of_the_hash(target: Path):
    taken = Taken(Part(3.0, 2, (0.2, 0.5), (1, 2, 3), 24), "crop")
    motion = a_motion(notices=("1 of 64 places moves", "frames were cropped"), taken=taken, noises=(1.0, 0.25))
    motion.save(target)
    loaded = Motion.load(target)
    assert_same(motion, loaded)
    assert (loaded.notices, loaded.taken, loaded.noises) == (motion.notices, taken, (1.0, 0.25))
    assert loaded.digest() == motion.digest() == a_motion().digest()
    first = target.read_bytes()
    for _ in range(8):
        loaded.save(target)
        assert target.read_bytes() == first
    a_motion(notices=("b\x1bd\n.png is missing", *["x"] * 200)).save(target)
    assert Motion.load(target).notices[:2] == ("b?d?.png is missing", "x")


@pytest.mark.parametrize(
    "told",
    [
        [],
        {"notices": ["a\u001bb"]},
        {"notices": {}},
        {"noises": [0.5, 2]},
        {"noises": [None]},
        {"part": 1},
        {"part": {"start": -1, "fit": "crop"}},
        {"part": {"start": "1", "fit": "crop"}},
        {"part": {"fit": "fold"}},
        {"part": {"crop": [0.5, 2], "fit": "crop"}},
        {"part": {"crop": {}, "fit": "crop"}},
        {"part": {"background": [1, 2], "fit": "crop"}},
    ],
)
def test_what_says_nothing_of_a_reference_is_refused(target: Path, told: Any):
    assert "does not say what a motion must say" in refused(written(target, about(**{ASIDE: told})))


def test_bytes_are_the_same_each_time(tmp_path: Path):
    motion = a_motion()
    shuffled = replace(motion, tensors=dict(reversed(motion.tensors.items())))
    motion.save(tmp_path / "one.safetensors")
    shuffled.save(tmp_path / "two.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": {"steps": 31}},
        {"model": "other"},
        {"source": Source("ef" * 32, 8.0, Shape(9, 32, 64))},
        {"tensors": {"latents": torch.zeros(1)}},
    ],
)
def test_digest_tells_motions_apart(changes: dict[str, Any]):
    assert a_motion(**changes).digest() != a_motion().digest()


def test_tensors_that_share_memory_or_need_gradients(target: Path):
    whole = torch.arange(8.0, requires_grad=True)
    motion = a_motion(
        tensors={"more": whole * 2, "half": whole[::2], "same": whole, "again": whole, "part": whole[2:4]}
    )
    motion.save(target)
    assert Motion.load(target).digest() == motion.digest()
    loaded = Motion.load(target).tensors
    assert loaded["again"].tolist() == list(range(8)) and loaded["part"].tolist() == [2, 3]
    assert loaded["half"].tolist() == [0, 2, 4, 6]
    assert loaded["same"].tolist() == list(range(8))


def test_saving_replaces_and_leaves_nothing_beside(target: Path):
    a_motion().save(target)
    a_motion(method="smm").save(target)
    assert Motion.load(target).method == "smm"
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize("old", [False, True])
def test_full_disk(target: Path, monkeypatch: pytest.MonkeyPatch, old: bool):
    if old:
        a_motion(method="smm").save(target)
    before = {path.name: path.read_bytes() for path in target.parent.iterdir()}
    half_written(monkeypatch, SafetensorError(FULL))
    with pytest.raises(OutputError, match="disk is full"):
        a_motion().save(target)
    assert {path.name: path.read_bytes() for path in target.parent.iterdir()} == before


@pytest.mark.parametrize("room", [100, 2000])
def test_a_system_that_takes_no_more(target: Path, room: int):
    """A limit on the size of files, within the header and within the tensors."""
    a_motion(method="smm").save(target)
    before = target.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(
            OutputError, match=r"cannot write .*walk.safetensors.*: File too large; choose another place"
        ):
            a_motion().save(target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    assert target.read_bytes() == before


def test_others_may_read_what_they_may_read_of_any_file(target: Path):
    a_motion().save(target)
    (target.parent / "plain").touch()
    assert target.stat().st_mode == (target.parent / "plain").stat().st_mode


STREAMED = """
import json, resource, sys
import torch
from motionlift.core.lattice import Lattice, Shape
from motionlift.motion.file import Motion, Source

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

tensors = {f"adapter.unet.layer{n}.difference": torch.ones(1024, 4096) for n in range(8)}
source = Source("ab", 8.0, Shape(9, 32, 64))
motion = Motion(tensors, "vmc", {}, "model", "ab", Lattice(3, 2, 4), source, "0")
before = peak()
motion.digest()
after = peak()
motion.save(sys.argv[1])
print(json.dumps([sum(tensor.nbytes for tensor in tensors.values()), after - before, peak() - after]))
"""


@pytest.mark.slow
def test_hash_and_file_take_no_copy_of_the_tensors(target: Path):
    ran = subprocess.run([sys.executable, "-c", STREAMED, str(target)], capture_output=True, text=True, check=True)
    held, hashed, saved = json.loads(ran.stdout)
    assert held == 128 * 2**20
    assert hashed < held / 16 and saved < held / 16


def half_written(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let writing stop with an error once half is there."""

    def half_write(tensors: dict[str, torch.Tensor], path: Path, about: dict[str, str]) -> None:
        data = save(tensors, about)
        path.write_bytes(data[: len(data) // 2])
        raise error

    monkeypatch.setattr("motionlift.motion.file.save_file", half_write)


def test_interrupted_save(target: Path, monkeypatch: pytest.MonkeyPatch):
    half_written(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        a_motion().save(target)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["walk.mp4", "walk", "missing/walk.safetensors", "."])
def test_places_it_cannot_be_saved(tmp_path: Path, name: str):
    with pytest.raises(OutputError):
        a_motion().save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# What is refused


def test_missing_folder_and_impossible_names(tmp_path: Path):
    assert "does not exist" in refused(tmp_path / "none.safetensors")
    assert "is a folder" in refused(tmp_path)
    with pytest.raises(MotionError, match="too long"):
        Motion.load("a" * 5000)
    with pytest.raises(MotionError, match="does not exist"):
        Motion.load("a\0b")


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", bytes(8), b"\xff" * 8, b"\x00\x00\x00\x7f" + bytes(60), np.random.default_rng(0).bytes(4096)],
)
def test_not_safetensors(target: Path, content: bytes):
    target.write_bytes(content)
    assert "damaged" in refused(target)


def test_cut_short(target: Path):
    a_motion().save(target)
    data = target.read_bytes()
    for size in (1, 7, 8, 9, 100, len(data) // 2, len(data) - 1):
        target.write_bytes(data[:size])
        assert "damaged" in refused(target)
    target.write_bytes(data + b"more")
    assert "damaged" in refused(target)


def test_foreign_safetensors(target: Path):
    save_file({"weight": torch.zeros(3)}, target)
    assert "no motion" in refused(target)
    save_file({"weight": torch.zeros(3)}, target, {"format": "pt"})
    assert "no motion" in refused(target)


def test_foreign_files_are_not_read_whole(target: Path, monkeypatch: pytest.MonkeyPatch):
    """Someone's ten gigabytes of weights are refused by their header."""
    save_file({"weight": torch.zeros(3)}, target)
    monkeypatch.setattr("motionlift.motion.file._check_numbers", lambda *_: pytest.fail("its tensors were looked at"))
    refused(target)
    monkeypatch.setattr("motionlift.motion.file.MOST_BYTES", 10)
    assert "at most 10 are read" in refused(target)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "walk",
        "null",
        "[]",
        "3",
        '"text"',
        "{}",
        "{",
        "[" * 100_000,
        '{"format": 1' + "0" * 5000 + "}",
        "\x00",
    ],
)
def test_metadata_that_is_no_object(target: Path, text: str):
    assert "does not say" in refused(written(target, text))


@pytest.mark.parametrize("name", list(about()))
def test_metadata_with_a_key_missing(target: Path, name: str):
    assert name in refused(written(target, about(**{name: None})))


WRONG = {
    "format": ["1", 1.5, True, 0, -1, [], math.nan],
    "method": [3, [], "a" * 5000, "two\nlines", "\x1b[31m", "\ud800"],
    "settings": [[], "steps", 3, {"steps": None}, {"steps": {}}, {"steps": math.nan}, {"steps": "a" * 5000}],
    "model": [3, {}, "two\nlines"],
    "identity": [3, []],
    "version": [1, []],
    "grid": [3, [3, 2, 4], {}, {"frames": 3, "height": 2}],
    "source": [3, [], {}, {"sha256": "ab", "fps": 8.0}],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_metadata_of_a_wrong_type(target: Path, name: str, value: Any):
    assert "does not say" in refused(written(target, about(**{name: value})))


@pytest.mark.parametrize("size", [0, -3, 2.0, "2", True, None, [], 10**9, 10**400, math.inf])
def test_sizes_out_of_range(target: Path, size: Any):
    shape = {"frames": 9, "height": 32, "width": 64}
    for part in ("frames", "height", "width"):
        refused(written(target, about(grid={"frames": 3, "height": 2, "width": 4} | {part: size})))
        source = {"sha256": "ab", "fps": 8.0, "shape": shape | {part: size}}
        refused(written(target, about(source=source)))


@pytest.mark.parametrize("fps", [0, -8.0, math.nan, math.inf, 10**400, 1e300, "8", True, None, [8]])
def test_rates_out_of_range(target: Path, fps: Any):
    shape = {"frames": 9, "height": 32, "width": 64}
    refused(written(target, about(source={"sha256": "ab", "fps": fps, "shape": shape})))


def test_later_format(target: Path):
    message = refused(written(target, about(format=FORMAT + 1, version="9.8.7")))
    assert "9.8.7" in message and "update" in message


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["latents", "features.4", "positions.0.query_cos", "displacements"])
def test_numbers_that_are_not_finite(target: Path, name: str, bad: float):
    sizes = {"latents": (1, 4, 3, 4, 8), "features.4": (24, 1)}
    tensor = torch.zeros(sizes.get(name, (2, 3)))
    tensor.view(-1)[-1] = bad
    with_it = {"channels.4": torch.tensor([2])} if name == "features.4" else {}
    assert "not finite" in refused(written(target, about(), {name: tensor, **with_it}))
    assert "not finite" in refused(written(target, about(), {name: tensor.bfloat16(), **with_it}))


def test_displacements(target: Path):
    """Unknown places are NaN; infinite ones are a mistake."""
    field = torch.full((3, 3, 8, 2), math.nan)
    assert Motion.load(written(target, about(), {"displacement": field})).tensors["displacement"].isnan().all()
    field[0, 0, 0, 0] = math.inf
    assert "not finite" in refused(written(target, about(), {"displacement.2": field}))


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("latents", torch.zeros(3, 4, 8)),
        ("inverted", torch.zeros(4)),
        ("maps.2", torch.zeros(3, 2, 4)),
        ("adapter.unet.layer.difference", torch.zeros(3)),
        ("channels.4", torch.zeros(2, 2, dtype=torch.int64)),
    ],
)
def test_tensors_with_other_axes(target: Path, name: str, tensor: torch.Tensor):
    assert f"with {tensor.ndim} axes; a motion has" in refused(written(target, about(), {name: tensor}))


@pytest.mark.parametrize(
    ("name", "tensor"), [("channels.4", torch.zeros(3)), ("features.4", torch.zeros(3, 2, dtype=torch.int64))]
)
def test_numbers_of_another_type_than_the_name_has(target: Path, name: str, tensor: torch.Tensor):
    assert "of type" in refused(written(target, about(), {name: tensor}))


def test_names_of_methods_to_come(target: Path):
    """A later method's tensors are of any size, and finite."""
    given = {"paths.3": torch.zeros(2, 3, 4), "paths": torch.zeros(()), "displacement.all.1": torch.zeros(2)}
    assert Motion.load(written(target, about(), given)).tensors.keys() == given.keys()
    assert "not finite" in refused(written(target, about(), {"paths.3": torch.full((2,), math.nan)}))


@pytest.mark.parametrize("sizes", [(3, 3, 8), (3, 3, 2, 8), (2, 2, 8, 2), (0, 3, 8, 2), (1, 3, 3, 8, 2), ()])
def test_displacement_of_another_lattice(target: Path, sizes: tuple[int, ...]):
    for name in ("displacement", "displacement.4"):
        assert "lattice 3x2x4" in refused(written(target, about(), {name: torch.zeros(sizes)}))


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.complex64, torch.bool, torch.uint8, torch.int8])
def test_other_types_of_numbers(target: Path, kind: torch.dtype):
    assert "of type" in refused(written(target, about(), {"latents": torch.zeros(2).to(kind)}))


def test_types_that_torch_does_not_know(target: Path):
    """Safetensors has types of four and six bits."""
    for kind, bits in (("F4", 4), ("F6_E2M3", 6), ("F8_E8M0", 8)):
        header = {"latents": {"dtype": kind, "shape": [16], "data_offsets": [0, 2 * bits]}}
        text = json.dumps(header | {"__metadata__": {KEY: json.dumps(about())}}).encode()
        target.write_bytes(struct.pack("<Q", len(text)) + text + bytes(2 * bits))
        refused(target)


class _Touch:
    """Unpickling this makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["walk.bin", "walk.pt", "walk.safetensors"])
def test_nothing_is_unpickled(tmp_path: Path, name: str):
    trap, path = tmp_path / "was-unpickled", tmp_path / name
    torch.save({"latents": torch.zeros(3), "trap": _Touch(trap)}, path)
    refused(path)
    path.write_bytes(pickle.dumps(_Touch(trap)))
    refused(path)
    assert not trap.exists()
    pickle.loads(path.read_bytes())
    assert trap.exists(), "the trap itself does not work"


@pytest.mark.slow
@pytest.mark.parametrize("part", ["header", "anywhere"])
def test_flipped_bytes(target: Path, part: str):
    """A damaged file gives a motion or a refusal, nothing else."""
    a_motion().save(target)
    data = np.frombuffer(target.read_bytes(), np.uint8)
    end = 8 + struct.unpack("<Q", data[:8].tobytes())[0] if part == "header" else len(data)
    random, outcomes = np.random.default_rng(3), set()
    for _ in range(300):
        flipped = data.copy()
        places = random.integers(0, end, random.integers(1, 4))
        flipped[places] = random.integers(0, 256, len(places))
        target.write_bytes(flipped.tobytes())
        try:
            outcomes.add(type(Motion.load(target)))
        except MotionError as error:
            outcomes.add(MotionError)
            assert not re.search(r"[\n\r\x1b]", str(error))
    assert outcomes == {Motion, MotionError}
