"""Which looks are left out, what steps do instead, and what of it is told."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lab.experiments import thrift, trial
from lab.experiments.thrift import AGAIN, FALLING, FAST, NOTHING, PLAIN
from motionlift.loops import sample
from motionlift.models.loading import load
from tests import twins

LOSSES = [1.0, 0.9, 0.89, 0.5, 0.4]
"""What a look finds in each step: the third is hardly below the second."""


def looked(way: str, monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], list[float | None]]:
    """Which steps looked, and by which gradient each moved."""
    seen: list[int] = []

    def look(_whole: Any, sights: Any, *_given: Any) -> Any:
        seen.append(sights[0].aim.step)
        return LOSSES[seen[-1]], [torch.tensor(float(seen[-1]))], torch.zeros(1)

    monkeypatch.setattr(sample, "_all_gradients", look)
    moved = []
    with thrift.looking(way):
        for step in range(len(LOSSES)):
            _loss, (gradient,), _output = sample._all_gradients(None, [SimpleNamespace(aim=SimpleNamespace(step=step))])
            moved.append(None if gradient is None else float(gradient))
    assert sample._all_gradients is look, "nothing stays behind"
    return seen, moved


@pytest.mark.parametrize(
    ("way", "steps", "moved"),
    [
        (FAST, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
        (AGAIN, [0, 2, 4], [0, 0, 2, 2, 4]),
        (NOTHING, [0, 2, 4], [0, None, 2, None, 4]),
        (FALLING, [0, 1, 2], [0, 1, 2, None, None]),
    ],
)
def test_looks_that_are_left_out(way: str, steps: list[int], moved: list[float | None], monkeypatch):
    assert looked(way, monkeypatch) == (steps, moved)


@pytest.mark.slow
def test_fewer_looks_are_less_work_and_another_video(monkeypatch: pytest.MonkeyPatch):
    backbone = load(twins.cogvideox(window=32), "cpu")
    monkeypatch.setattr(trial, "bundled", lambda _model: backbone)
    monkeypatch.setattr(trial, "figures", lambda frames, *_: {"aligned_error": float(frames.float().mean())})
    found = {}
    for cell in thrift.cells(1):
        cell = {**cell, "settings": {**cell["settings"], "steps": 4} | ({"share": 1.0} if cell["way"] != PLAIN else {})}
        found[cell["way"]] = thrift.measure(cell, "twin")
    work = {way: each["work"] for way, each in found.items()}
    assert work[PLAIN] < work[AGAIN] == work[NOTHING] < work[FAST]
    assert work[FALLING] <= work[FAST]
    assert len({found[way]["aligned"] for way in (PLAIN, AGAIN, NOTHING, FAST)}) == 4


def test_the_section_has_a_line_for_every_way_and_sets_them_beside_the_preset():
    looks = {"colour": 1.0, "background": 1.0, "shape": 1.0}
    errors = {PLAIN: 0.2, FAST: 0.1, AGAIN: 0.11, NOTHING: 0.13, FALLING: 0.1}
    work = {PLAIN: 60.0, FAST: 72.0, AGAIN: 66.0, NOTHING: 66.0, FALLING: 63.0}
    records = [
        {"index": index, "way": way, "aligned": errors[way] + index / 1000, "work": work[way], **looks}
        for index in range(8)
        for way in thrift.WAYS
    ]
    lines = [line.split(" | ") for line in thrift.section(records).splitlines() if line.startswith("| ")][2:]
    assert [line[2] for line in lines] == ["1.00", "1.20", "1.10", "1.10", "1.05"]
    assert [line[4][:6] for line in lines] == ["+0.100", "-", "+0.010", "+0.030", "+0.000"]
