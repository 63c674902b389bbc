"""What was made last is compared with what was made of the same motion, and with its reference."""

from dataclasses import replace
from html import unescape
from pathlib import Path

from motionlift.app.history import Item, State
from motionlift.app.outcome import latest, outcome
from motionlift.app.tasks import CAST, LIFT, Task
from motionlift.video.clip import Clip
from motionlift.world.scenes import render, sample


def item(number: int, state: State = State.DONE, kind: str = CAST, source: str = "m.safetensors") -> Item:
    task = Task(kind, source, "n", prompt=f"<b>star {number}")
    return Item(number, "o", task, state, 0.0, None, "too <i>long", (f"{number}.mp4",))


def numbers(items: list[Item]) -> list[int]:
    return [each.number for each in latest(items)]


def test_what_is_compared():
    assert numbers([]) == []
    assert numbers([item(6, State.WAITING), item(5, State.RUNNING), item(4), item(3)]) == [4, 3]
    assert numbers([item(number) for number in (9, 8, 7, 6)]) == [9, 8, 7], "with the reference they fill a square"
    assert numbers([item(3), item(2, source="other.safetensors"), item(1)]) == [3]
    assert numbers([item(3), item(2, State.FAILED), item(1)]) == [3]
    assert numbers([item(3, State.FAILED), item(2)]) == [3]
    assert numbers([item(3, kind=LIFT), item(2)]) == [3]


def test_reference_and_results_stand_side_by_side(tmp_path: Path):
    for name in ("1", "2", "m reference"):
        Clip.of(render([sample(3, 1)], 32, 48).frames[0], 8).save(tmp_path / f"{name}.mp4")
    shown = outcome([item(2), item(1)], tmp_path)
    assert shown.html.count("&lt;video ") == 3 and shown.html.count("&lt;figcaption") == 3
    assert "the reference" in shown.html and "<b>" not in shown.html and shown.file == tmp_path / "2.mp4"


def test_videos_of_two_methods_stand_beside_the_reference_of_one_clip(tmp_path: Path):
    clip = Clip.of(render([sample(3, 1)], 32, 48).frames[0], 8)
    for name in ("1", "2", "m reference", "other reference"):
        clip.save(tmp_path / f"{name}.mp4")
    (tmp_path / "2.json").write_text('{"method": "<i>vmc"}')
    items = [item(2, source="other.safetensors"), item(1)]
    items[0] = replace(items[0], files=("2.mp4", "2.json"))
    shown = unescape(outcome(items, tmp_path).html)
    assert "same reference" not in shown and shown.count("the reference") == 2, "in a title, and where that is cut off"
    assert "2. other by &lt;i&gt;vmc: " in shown and "1. m: " in shown and "<i>" not in shown
    Clip.of(clip.frames.flip(2), 8).save(tmp_path / "m reference.mp4")
    shown = unescape(outcome(items, tmp_path).html)
    assert "What is shown is that of number 2" in shown and "the reference of number 2" in shown
    (tmp_path / "other reference.mp4").unlink()
    assert "What is shown is that of number 1" in outcome(items, tmp_path).html
    (tmp_path / "1.mp4").unlink()
    shown = outcome(items, tmp_path)
    assert "What number 1 made is not there any more" in shown.html and shown.file == tmp_path / "2.mp4"


def test_a_motion_that_came_without_its_clip_is_the_reference(tmp_path: Path):
    for name in ("1", "m drawn"):
        Clip.of(render([sample(3, 1)], 32, 48).frames[0], 8).save(tmp_path / f"{name}.mp4")
    shown = outcome([item(1)], tmp_path)
    assert "which came without its clip" in shown.html and shown.html.count("&lt;video ") == 2
    assert shown.file == tmp_path / "1.mp4"


def test_what_made_nothing_says_why(tmp_path: Path):
    assert "failed: too &lt;i&gt;long" in outcome([item(1, State.FAILED)], tmp_path).html
    gone = outcome([item(1)], tmp_path)
    assert "not there any more" in gone.html and gone.file is None
    assert outcome([], tmp_path).html == ""
