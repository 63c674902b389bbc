"""Wherever a disk becomes full while a file is written, nothing is half written and what was there stays."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionlift.bench.report.page import write_report
from motionlift.errors import OutputError
from motionlift.jobs.records import append_record, read_records
from motionlift.loops.run_folder import Row, opened
from motionlift.motion import cache
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.video.sheets import contact_sheet, moving_picture
from motionlift.work.export import export_adapter
from motionlift.work.video import Video
from motionlift.world.truth import write_world
from tests.bench import made_records
from tests.full_disk import FullDisk
from tests.motion.test_file import a_motion

MOST_PAGES = 60
"""Pages of 4 kB that are enough for each of the files."""


def noise(seed: int) -> Clip:
    """A clip of which every encoder makes some pages."""
    frames = torch.randint(0, 256, (4, 48, 48, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return Clip.of(frames, 8.0)


def motion(seed: int, **more: torch.Tensor) -> Motion:
    noise = torch.randn(9000, generator=torch.Generator().manual_seed(seed))
    return replace(a_motion(), tensors={**a_motion().tensors, "noise": noise, **more})


def video(path: Path, seed: int) -> None:
    Video(noise(seed), {"seed": seed, "more": "x" * 9000}, a_motion()).save(path)


def report(path: Path, seed: int) -> None:
    folder = path.parent.parent / f"records-{seed}"
    if not folder.exists():
        folder.mkdir()
        made_records.write(folder, made_records.error_records({"none": [0.1 * seed, 0.2], "ditflow": [0.2, 0.3]}))
    write_report(folder, path)


def adapter(path: Path, seed: int) -> None:
    factors = {
        f"adapter.transformer.transformer_blocks.0.attn1.to_q.lora_{side}.weight": torch.full((shape), float(seed))
        for side, shape in (("A", (4, 1000)), ("B", (1000, 4)))
    }
    export_adapter(motion(seed, **factors), path, "peft")


def run_folder(path: Path, seed: int) -> None:
    layer = torch.nn.Linear(60, 60)
    with torch.no_grad():
        layer.weight.fill_(seed)
    with opened(path, {}) as folder:
        for number in range(400):
            folder.log(Row(number, seed, 0.5))
        folder.save(seed, layer, torch.optim.AdamW(layer.parameters()), {})


WRITERS: dict[str, Callable[[Path, int], object]] = {
    "a.mp4": lambda path, seed: noise(seed).save(path),
    "video.mp4": video,
    "m.safetensors": lambda path, seed: motion(seed).save(path),
    "adapter.safetensors": adapter,
    "sheet.png": lambda path, seed: contact_sheet(noise(seed), path),
    "picture.webp": lambda path, seed: moving_picture([("label", noise(seed))], path),
    "page.html": report,
    "run": run_folder,
    "world": lambda path, seed: write_world(path, 1, seed, 9, 128),
}
"""What writes a file or folder of a name, another one with each seed."""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_at_whatever_byte_the_disk_is_full(name: str, full_disk: FullDisk):
    folder = full_disk.folder
    WRITERS[name](folder / name, 1)
    before, refused = contents(folder), 0
    for pages in range(MOST_PAGES):
        with full_disk.left(pages):
            try:
                WRITERS[name](folder / name, 2)
            except OutputError as error:
                assert "the disk is full" in str(error)
                refused += 1
            else:
                break
        now = contents(folder)
        if name == "run":  # its losses may be those of the later step, see there
            now = {own: data for own, data in now.items() if own != "run/loss.csv"} | {
                "run/loss.csv": before["run/loss.csv"]
            }
        assert now == before, pages
    else:
        raise AssertionError("the disk was never large enough")
    assert refused >= 2, "it was full in the middle of a file, too"
    after = contents(folder)
    assert after.keys() == before.keys() and after != before


@pytest.mark.slow
def test_the_cache_has_a_motion_whole_or_not_at_all(full_disk: FullDisk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(full_disk.folder))
    name = cache.key({})
    for pages in range(MOST_PAGES):
        with full_disk.left(pages):
            told = cache.keep(name, motion(1))
        if not told:
            break
        assert "the disk is full" in told[0] and cache.find(name) == cache.Found(None)
        assert {Path(path).name for path in contents(full_disk.folder)} <= {cache.TAG}
    found = cache.find(name).motion
    assert pages >= 3 and found is not None and found.digest() == motion(1).digest()


@pytest.mark.slow
def test_a_record_is_added_whole_or_not_at_all(full_disk: FullDisk):
    path = full_disk.folder / "records.jsonl"
    append_record(path, {"model": "first"})
    before, pages = path.read_bytes(), -1
    while len(read_records(path)) == 1:
        pages += 1
        with full_disk.left(pages):
            try:
                append_record(path, {"model": "x" * 20_000})
            except OSError:
                assert path.read_bytes() == before
    assert pages >= 3 and len(read_records(path)) == 2
