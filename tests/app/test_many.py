"""Twenty people at once, with a model that computes: nothing is lost, and nobody gets another's."""

import threading
import time
from pathlib import Path

import pytest

from motionlift.app.history import OPEN, State
from motionlift.app.jobs import Jobs
from motionlift.app.making import Maker
from motionlift.app.tasks import CAST, LIFT, Task
from motionlift.app.workspace import Workspace, new_token
from motionlift.models.sources import DEFAULT_MODEL
from motionlift.video.clip import Clip
from motionlift.world.scenes import render, sample

PEOPLE = 20
LONGEST = 300.0
"""Seconds that a slow machine may take."""


def until(true) -> None:
    end = time.monotonic() + LONGEST
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def came(jobs: Jobs, own: Workspace, number: int, clip: Path) -> None:
    """One person lifts, waits for the motion, and casts it."""
    own.folder.mkdir(parents=True)
    (own.folder / "clip.mp4").write_bytes(clip.read_bytes())
    jobs.submit(own.owner, Task(LIFT, "clip.mp4", "mine", method="flowmotion"))
    until(own.motions)
    until(lambda: jobs.history.items(own.owner)[0].state not in OPEN)
    task = Task(CAST, "mine.safetensors", "made", settings={"steps": "2"}, prompt="a red star", seed=number)
    jobs.submit(own.owner, task)


@pytest.mark.slow
def test_twenty_people_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))
    clip = tmp_path / "clip.mp4"
    Clip.of(render([sample(3, 1, motion="arc", camera="still")]).frames[0], 8).save(clip)
    jobs = Jobs(tmp_path / "data", Maker("cpu"))
    people = [Workspace.of(tmp_path / "data", new_token()) for _ in range(PEOPLE)]
    threads = [threading.Thread(target=came, args=(jobs, own, number, clip)) for number, own in enumerate(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        until(lambda: all(item.state not in OPEN for own in people for item in jobs.history.items(own.owner)))
        for own in people:
            items = jobs.history.items(own.owner)
            assert [item.state for item in items] == [State.DONE] * 2, [item.told for item in items]
            assert all((own.folder / name).is_file() for item in items for name in item.files)
        videos = {(own.folder / "made.mp4").read_bytes() for own in people}
        assert len(videos) == PEOPLE, f"each has the video of its own seed, by {DEFAULT_MODEL}"
    finally:
        jobs.close()
