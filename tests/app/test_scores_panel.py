"""What was measured is told as text, each figure with how it is read; what was not, with the reason."""

import shutil
from pathlib import Path

import gradio as gr
import pytest

from motionlift.app.desk import Desk
from motionlift.app.history import Item, State
from motionlift.app.jobs import Jobs
from motionlift.app.scores_panel import clip_named, reference_of, scored, scores_of
from motionlift.app.tasks import CAST, Task
from motionlift.app.workspace import Workspace, new_token
from motionlift.errors import InputError
from motionlift.measure import figures
from motionlift.measure.score import Scores
from tests import twins
from tests.app.test_jobs import Stepping
from tests.work.trials import a_clip


def test_figures_stand_with_their_readings():
    name, other = list(figures())[:2]
    shown = scores_of(Scores({name: 0.123456}, {other: "needs <b>weights</b>"}))
    assert figures()[name].title in shown and "<td>0.123</td>" in shown
    assert "not measured" in shown and "needs &lt;b&gt;weights" in shown and "<b>" not in shown


def test_nothing_is_said_of_what_is_not_left_out():
    assert "not measured" not in scores_of(Scores({next(iter(figures())): float("nan")}, {}))


@pytest.mark.slow
def test_how_well_a_video_goes_with_its_text_is_measured_by_a_clip_model(tmp_path: Path):
    token, clip = new_token(), tmp_path / "clip"
    twins.clip(clip)
    jobs = Jobs(tmp_path / "data", Stepping())
    try:
        desk = Desk(jobs, tmp_path / "data", gr.BrowserState(""), gr.State(""))
        own = desk.workspace(token)
        a_clip().save(own.new("m reference", ".mp4"))
        shutil.copy(own.folder / "m reference.mp4", own.folder / "made.mp4")
        (item,) = jobs.history.add(own.owner, Task(CAST, "m.safetensors", "made", prompt="a red star"))
        jobs.history.change(item.number, State.DONE, files=("made.mp4",))
        assert "clip_text" in scored(desk, token, item.number, None).left_out
        found = scored(desk, token, item.number, str(clip))
        assert -1 <= found.figures["clip_text"] <= 1 and "clip_text" not in found.left_out
        assert "CLIP text" in scores_of(found)
        with pytest.raises(InputError, match="choose a video"):
            scored(desk, new_token(), item.number, None)
    finally:
        jobs.close()


def test_a_clip_model_is_a_folder_on_this_machine_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "own" / "clip").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert clip_named(" ", False) is None
    assert clip_named(" openai/clip-vit-large-patch14 ", False) == "openai/clip-vit-large-patch14"
    for name in (str(tmp_path), "own/clip", "../own", "~", "own/../own", "/etc"):
        assert clip_named(name, True) == name
        with pytest.raises(InputError, match="as the hub does"):
            clip_named(name, False)


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
