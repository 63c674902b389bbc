"""What was measured is told as text, each figure with how it is read; what was not, with the reason."""

from motionlift.app.scores_panel import scores_of
from motionlift.measure import figures
from motionlift.measure.score import Scores


def test_figures_stand_with_their_readings():
    name, other = list(figures())[:2]
    shown = scores_of(Scores({name: 0.123456}, {other: "needs <b>weights</b>"}))
    assert figures()[name].title in shown and "<td>0.123</td>" in shown
    assert "not measured" in shown and "needs &lt;b&gt;weights" in shown and "<b>" not in shown


def test_nothing_is_said_of_what_is_not_left_out():
    assert "not measured" not in scores_of(Scores({next(iter(figures())): float("nan")}, {}))
