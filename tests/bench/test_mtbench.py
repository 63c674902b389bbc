"""MTBench as a source, laid out as its authors' examples are."""

from pathlib import Path

import pytest
import torch

from motionlift.bench.mtbench import MTBench, lines_of
from motionlift.bench.run_file import read_run
from motionlift.errors import InputError
from motionlift.video.clip import Clip
from tests.methods.references import unet_twin

PROMPTS = "A fox running between posts.  \nA cat running between cones.\n\nA cat running between cones.\n"


def made(folder: Path, *names: str) -> None:
    """Clips of four frames, each with a caption, two prompts, and what is not read."""
    for name in names:
        (folder / name / "videos").mkdir(parents=True)
        (folder / name / "masks" / name).mkdir(parents=True)
        Clip.of(torch.full((4, 16, 16, 3), 90, dtype=torch.uint8), 8.0).save(folder / name / "videos" / f"{name}.mp4")
        (folder / name / "videos" / "tracker.mp4").touch()
        (folder / name / "prompts.txt").write_text(f"A {name} running between poles.")
        (folder / name / "eval_prompts.txt").write_text(PROMPTS)
        (folder / name / "videos.txt").write_text(f"videos/{name}.mp4")


def test_every_clip_with_its_own_prompts(tmp_path: Path):
    made(tmp_path, "dog", "ape")
    (tmp_path / "notes").mkdir()
    source = MTBench(tmp_path, frames=4, pixels=(32, 16))
    asked = source.asked(17)
    assert source.size() == len(asked) == 4
    assert [(each.reference, each.number, each.kind, each.prompt) for each in asked[1:3]] == [
        ("ape", 0, "1", "A cat running between cones."), ("dog", 1, "0", "A fox running between posts.")
    ]  # fmt: skip
    told = {"source_prompt": "A dog running between poles."}
    assert source.told(asked[3], "motiondirector", {}, 17) == source.told(asked[3], "motionflow", {}, 17) == told
    assert source.told(asked[3], "none", {}, 17) == {}
    opened = source.open(asked[3], unet_twin().about)
    assert opened.reference == tmp_path / "dog" / "videos" / "dog.mp4"
    assert (opened.frames, opened.pixels, opened.truth) == (4, (32, 16), None)


def test_what_is_read_decides_what_is_measured_anew(tmp_path: Path):
    made(tmp_path, "dog", "ape")
    source = MTBench(tmp_path)
    before = dict(source.contents())
    (tmp_path / "ape" / "videos.txt").write_text("else")
    assert dict(source.contents()) == before
    (tmp_path / "ape" / "prompts.txt").write_text("An ape.")
    (tmp_path / "dog" / "videos" / "dog.mp4").write_bytes(b"other")
    after = dict(source.contents())
    assert after.keys() == before.keys() == {"ape", "dog"} and not set(after.values()) & set(before.values())
    assert dict(MTBench(tmp_path, frames=4).contents()) != after


def test_in_a_run_file(tmp_path: Path):
    made(tmp_path / "MTBench", "dog")
    run = tmp_path / "run.yaml"
    text = f"models: [tiny-dit]\nmethods: [none]\nseeds: [0]\noutput: {tmp_path / 'out'}\nreferences:\n"
    run.write_text(
        f"{text}  - mtbench: {{path: {tmp_path / 'MTBench'}, frames: 9, size: 32x16, fit: pad, every_frame: true}}\n"
    )
    (source,) = read_run(str(run)).references
    assert source == MTBench(tmp_path / "MTBench", 9, (32, 16), "pad", True)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "is not there"),
        (b"\n \n", "holds no prompt"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"a" * 20_000, "prompt 1: the prompt has 20000"),
    ],
)
def test_prompts_that_are_refused(tmp_path: Path, content: bytes | None, told: str):
    made(tmp_path, "dog")
    path = tmp_path / "dog" / "prompts.txt"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=told):
        MTBench(tmp_path).asked(17)


def test_a_folder_without_clips_and_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputError, match=r"holds no folder with eval_prompts\.txt"):
        MTBench(tmp_path).size()
    monkeypatch.setattr("motionlift.bench.mtbench.MOST_TEXT_BYTES", 3)
    (tmp_path / "long.txt").write_text("a star")
    with pytest.raises(InputError, match="larger than 3 bytes"):
        lines_of(tmp_path / "long.txt")
