"""What the page tunes goes on from where it was cancelled, and what it says of guided steps."""

from pathlib import Path
from typing import Any

import pytest

from motionlift.app.making import CancelledError, Live, Maker
from motionlift.app.tasks import LIFT, Task
from motionlift.app.workspace import MOTION, Workspace
from motionlift.core.cost import Step
from motionlift.errors import InputError
from tests import twins
from tests.work.trials import a_clip

STEPS, CANCELLED = 6, 3


class Noted(Live):
    """Keeps the numbers of the steps of tuning that were done; cancelled after one of them."""

    def __init__(self, cancelled: int | None = None):
        self.tuned, self.cancelled = [], cancelled
        super().__init__()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "done" and value > self.first and self.phase == "tune":
            self.tuned.append(value)
            if value == self.cancelled:
                self.unwanted.set()


@pytest.mark.slow
def test_a_tuning_that_was_cancelled_and_is_asked_for_again_goes_on(tmp_path: Path):
    twins.cogvideox(window=32).save_pretrained(tmp_path / "model")
    own = Workspace(tmp_path / "own")
    a_clip().save(own.new("clip", ".mp4"))
    settings = {"steps": "2", "tuning_steps": f"{STEPS}", "source_prompt": "a blue ring on the field"}
    task = Task(LIFT, "clip.mp4", "walk", model=str(tmp_path / "model"), method="vmc", settings=settings)
    first, again = Noted(CANCELLED), Noted()
    with pytest.raises(CancelledError):
        Maker("cpu").made(task, own, first)
    assert first.tuned == list(range(1, CANCELLED + 1)) and own.motions() == []
    motion, *_ = Maker("cpu").made(task, own, again)
    # The step in which the cancelling was seen was done, and is kept too.
    assert again.tuned == list(range(CANCELLED + 2, STEPS + 1)) and own.motions() == [motion]


@pytest.mark.slow
def test_what_is_called_so_while_a_lift_is_drawn_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    twins.cogvideox(window=32).save_pretrained(tmp_path / "model")
    own = Workspace(tmp_path / "own")
    a_clip().save(own.new("clip", ".mp4"))
    own.new("walk", MOTION).write_text("the walk")

    def renaming(*_: Any) -> None:
        own.rename(f"walk{MOTION}", "jump")
        raise InputError("it cannot be drawn")

    monkeypatch.setattr("motionlift.app.making.draw_lifted", renaming)
    task = Task(LIFT, "clip.mp4", "jump", model=str(tmp_path / "model"), settings={"steps": "2"})
    motion, *_ = Maker("cpu").made(task, own, Live())
    assert set(own.motions()) == {motion, f"jump-2{MOTION}"}
    assert own.kept(f"jump-2{MOTION}").read_text() == "the walk"


def test_guiding_is_one_phase_until_it_ends_and_sampling_goes_on_from_there(monkeypatch: pytest.MonkeyPatch):
    """Of ten steps two are guided, by three steps of the optimiser each, which take a second; others take half of one."""
    now = 100.0
    monkeypatch.setattr("motionlift.app.making.time.monotonic", lambda: now)
    live = Live()
    watch, seen = Maker("cpu")._watching(live), list[tuple[str, int, float | None]]()
    for index in range(10):
        for inner in range(3 if index < 2 else 0):
            watch(Step("guide", 3 * index + inner, 6, 0.5))
            seen.append((live.phase, live.done, live.left))
            now += 1
        now += 0.5
        watch(Step("sample", index, 10))
        seen.append((live.phase, live.done, live.left))
        assert len(live.losses) == (3 if index == 0 else 0)
    assert [phase for phase, *_ in seen] == ["guide"] * 7 + ["sample"] * 9
    assert seen[4] == ("guide", 4, pytest.approx(3.5 / 4 * 2)), "the steps between are in its time"
    assert seen[-3] == ("sample", 8, pytest.approx(6 * 0.5 / 7 * 2))
