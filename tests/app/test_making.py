"""What the page tunes goes on from where it was cancelled."""

from pathlib import Path
from typing import Any

import pytest

from motionlift.app.making import CancelledError, Live, Maker
from motionlift.app.tasks import LIFT, Task
from motionlift.app.workspace import Workspace
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
        if name == "done" and value and self.phase == "tune":
            self.tuned.append(value)
            if value == self.cancelled:
                self.unwanted.set()


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
