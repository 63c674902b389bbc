"""Diversity over the seeds of records."""

from pathlib import Path
from typing import Any

import pytest
import torch

from motionlift.bench.report.page import write_report
from motionlift.bench.report.seeds import with_diversity
from motionlift.measure.diversity import diversity
from motionlift.video.clip import Clip
from tests.bench.made_records import record, video, write


def noise(path: Path, seed: int, frames: int = 9) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = torch.randint(0, 255, (frames, 32, 32, 3), generator=torch.Generator().manual_seed(seed))
    Clip.of(pictures.to(torch.uint8), 8.0).save(path)


def made(method: str, seed: int, name: str, **more: Any) -> dict[str, Any]:
    return record(method, 0, {"looks": 1.0}, seed=seed, video=name, **more)


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, Any]]:
    """One method gives every seed the same, another gives noise."""
    for name in ("same-1.mp4", "same-2.mp4"):
        video(tmp_path / name)
    for seed in range(3):
        noise(tmp_path / f"noise-{seed}.mp4", seed)
    return [
        made("none", 4, "noise-2.mp4"),
        made("none", 0, "noise-0.mp4"),
        made("none", 2, "noise-1.mp4"),
        made("smm", 0, "same-1.mp4"),
        made("smm", 1, "same-2.mp4"),
        made("moft", 0, "same-1.mp4"),
    ]


def found(records: list[dict[str, Any]], folder: Path, told: str = "figures") -> list[Any]:
    results = with_diversity(records, lambda place: folder / place if (folder / place).exists() else None)
    return [each.get(told, {}).get("diversity") for each in results]


@pytest.mark.slow
def test_one_figure_for_all_seeds_of_a_prompt(tmp_path: Path, records: list[dict[str, Any]]):
    values = found(records, tmp_path)
    frames = [Clip.read(tmp_path / f"noise-{seed}.mp4", frames=9, fps=8, aspect=(32, 32)) for seed in range(3)]
    assert values[1] == pytest.approx(diversity([clip.frames.numpy() for clip in frames]), abs=1e-5) and values[1] > 0.5
    assert values[3] == pytest.approx(0, abs=1e-6)
    assert [values[number] for number in (0, 2, 4, 5)] == [None] * 4, "the lowest seed carries it; one seed has none"
    assert all("diversity" not in each["figures"] for each in records), "what came stays as it was"


def test_why_there_is_none_is_told_of_several_seeds(tmp_path: Path, records: list[dict[str, Any]]):
    noise(tmp_path / "noise-1.mp4", 1, frames=5)
    (tmp_path / "same-2.mp4").unlink()
    records[3]["left_out"] = {"lpips": "no network"}
    reasons = found(records, tmp_path, "left_out")
    assert reasons[1].startswith("the videos differ in length or size")
    assert reasons[3] == "videos of 1 of a prompt's 2 seeds are beside the records; all are compared"
    assert [reasons[number] for number in (0, 2, 4, 5)] == [None] * 4, "one seed has nothing to be compared with"
    assert "diversity" not in records[3]["left_out"], "what came stays as it was"
    write_report(write(tmp_path, records), tmp_path / "report.html")
    told = (tmp_path / "report.html").read_text()
    assert "diversity (videos of 1 of a prompt" in told and "lpips (no network)" in told
    (_, bad) = with_diversity([{**each, "left_out": "nonsense"} for each in records[3:5]], lambda place: None)[::-1]
    assert list(bad["left_out"]) == ["diversity"]


def test_what_cannot_be_compared_has_none(tmp_path: Path, records: list[dict[str, Any]]):
    noise(tmp_path / "noise-1.mp4", 1, frames=5)
    (tmp_path / "same-2.mp4").unlink()
    assert found(records, tmp_path) == [None] * 6
    assert found([{"broken": 1}, {**records[3], "error": "no luck"}, records[4]], tmp_path) == [None] * 3


def test_the_report_shows_it(tmp_path: Path, records: list[dict[str, Any]]):
    write_report(write(tmp_path, records), tmp_path / "report.html")
    assert "diversity over seeds" in (tmp_path / "report.html").read_text()
    assert "diversity,0.0" in (tmp_path / "report-means.csv").read_text()
