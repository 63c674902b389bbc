"""What was measured is told as text, each figure with how it is read; what was not, with the reason."""

from pathlib import Path

import pytest

from motionlift.app.history import Item, State
from motionlift.app.scores_panel import reference_of, scores_of
from motionlift.app.tasks import CAST, Task
from motionlift.app.workspace import Workspace
from motionlift.errors import InputError
from motionlift.measure import figures
from motionlift.measure.score import Scores


def test_figures_stand_with_their_readings():
    name, other = list(figures())[:2]
    shown = scores_of(Scores({name: 0.123456}, {other: "needs <b>weights</b>"}))
    assert figures()[name].title in shown and "<td>0.123</td>" in shown
    assert "not measured" in shown and "needs &lt;b&gt;weights" in shown and "<b>" not in shown


def test_nothing_is_said_of_what_is_not_left_out():
    assert "not measured" not in scores_of(Scores({next(iter(figures())): float("nan")}, {}))


def test_why_there_is_nothing_to_measure_beside(tmp_path: Path):
    item, own = (
        Item(1, "o", Task(CAST, "m.safetensors", "n"), State.DONE, 0.0, None, "", ("n.mp4",)),
        Workspace(tmp_path),
    )
    with pytest.raises(InputError, match="the motion of this video was deleted"):
        reference_of(item, own)
    (tmp_path / "m.safetensors").touch()
    with pytest.raises(InputError, match="this motion came without its clip"):
        reference_of(item, own)
    (tmp_path / "m reference.mp4").touch()
    assert reference_of(item, own) == tmp_path / "m reference.mp4"
