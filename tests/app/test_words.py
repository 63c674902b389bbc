"""What came from outside is text on the page, never HTML."""

import re
from pathlib import Path

from motionlift.app.history import Item, State
from motionlift.app.making import Live
from motionlift.app.player import player
from motionlift.app.tasks import CAST, LIFT, Task
from motionlift.app.words import history_of, library_of, progress_of, title_of

EVIL = "<script>alert(1)</script>"


def item(task: Task | None = None) -> Item:
    return Item(3, "o", task or Task(CAST, "m.safetensors", "n", prompt=EVIL), State.FAILED, 0.0, None, EVIL, ())


def test_nothing_is_html(tmp_path: Path):
    (tmp_path / f"{EVIL[:8]} drawn.mp4").touch()
    texts = [
        history_of([item(), item(task=Task(LIFT, EVIL, EVIL))], tmp_path, {3: 2}),
        progress_of(item(), Live(phase=EVIL, done=1, total=3), 0),
        progress_of(item(), Live(), 2),
        library_of([f"{EVIL}.safetensors"], tmp_path),
        player([(EVIL, tmp_path / f"{EVIL[:8]} drawn.mp4")]),
    ]
    assert all("<script>alert" not in text for text in texts)
    assert "&lt;script&gt;alert" in texts[0] and "2 tasks come before it" in texts[0]


def test_videos_that_begin_with_other_pictures_have_other_titles():
    pictures = ("", "a photo 0123456789ab.png", "b.png")
    tasks = [Task(CAST, "m.safetensors", "n", prompt="a star", picture=picture) for picture in pictures]
    told = [title_of(item(task)) for task in tasks]
    assert told == ["a star, seed 0", "a star, seed 0, from a photo", "a star, seed 0, from b"]


def test_progress_says_how_far_it_is():
    live = Live(phase="tune", done=5, total=10, losses=[3.0, 2.0, 1.0, float("nan")])
    text = progress_of(item(), live, 0)
    assert "Tuning, step 5 of 10" in text and 'aria-valuenow="50"' in text and "loss 1" in text
    assert "2 tasks come before it" in progress_of(item(), Live(), 2)
    assert "Nothing is being made" in progress_of(None, None, None)
    assert "nan" not in progress_of(item(), Live(phase="tune", losses=[float("nan")] * 9), 0)


def said(live: Live) -> list[str]:
    """What of the progress is announced."""
    return re.findall(r'<p[^>]* role="status">(.*?)</p>', progress_of(item(), live, 0))


def test_phases_are_announced_and_steps_are_not():
    live = Live(phase="guide", done=1, total=10)
    begun = said(live)
    assert len(begun) == 1 and begun[0].endswith(": Sampling")
    live.done = 2
    assert said(live) == begun
    live.phase, live.total = "sample", 50  # in turns with guidance, in every step
    assert said(live) == begun
    live.phase = "drawing"
    assert said(live)[0].endswith(": Drawing")
    assert 'aria-live="off"' in progress_of(item(), live, 0)


def test_what_is_being_cancelled_is_said_to_stop(tmp_path: Path):
    live = Live(phase="tune", done=5, total=10)
    live.unwanted.set()
    told = progress_of(item(), live, 0)
    assert "Stopping ..." in told and "step 5" not in told and said(live)[0].endswith(": Stopping ...")
    assert "stopping ..." in history_of([item()], tmp_path, {}, {3})
