"""Twenty people at once, with a model that computes: nothing is lost, and nobody gets another's."""

import json
import secrets
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from motionlift.app.history import OPEN, State
from motionlift.app.jobs import Jobs
from motionlift.app.making import Maker
from motionlift.app.page import built
from motionlift.app.server import AT_ONCE
from motionlift.app.tasks import CAST, LIFT, Task
from motionlift.app.video_tab import QUALITIES
from motionlift.app.workspace import Workspace, new_token
from motionlift.video.clip import Clip
from motionlift.world.scenes import render, sample

PEOPLE = 20
MODEL = "tiny-dit"
"""The quicker one, since there are so many."""
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
    jobs.submit(own.owner, Task(LIFT, "clip.mp4", "mine", method="flowmotion", model=MODEL))
    until(own.motions)
    until(lambda: jobs.history.items(own.owner)[0].state not in OPEN)
    task = Task(
        CAST, "mine.safetensors", "made", settings={"steps": "2"}, model=MODEL, prompt="a red star", seed=number
    )
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
        assert len(videos) == PEOPLE, f"each has the video of its own seed, by {MODEL}"
    finally:
        jobs.close()


class Session:
    """A visitor who speaks to the page as a browser does, without one."""

    def __init__(self, address: str):
        self.client = httpx.Client(base_url=address, timeout=LONGEST)
        self.hash = secrets.token_hex(5)
        told = self.client.get("/config").json()
        self.names = {each["id"]: each["props"].get("elem_id") for each in told["components"]}
        self.events = told["dependencies"]
        (loading,) = (
            each for each in self.events if [own for _, own in each["targets"]] == ["load"] and each["inputs"]
        )
        (self.token,) = self.called(loading, "")

    def event(self, field: str, kind: str, outputs: str = "") -> dict[str, Any]:
        """What happens when something of a field does, or what fills another."""
        return next(
            each
            for each in self.events
            if any(self.names.get(own) == field and how == kind for own, how in each["targets"])
            and (not outputs or outputs in map(self.names.get, each["outputs"]))
        )

    def called(self, event: dict[str, Any], *data: Any) -> list[Any]:
        """What comes of an event; of what the server remembers of the session, nothing is said."""
        asked = {"data": data, "fn_index": event["id"], "session_hash": self.hash}
        number = self.client.post("/gradio_api/queue/join", json=asked).raise_for_status().json()["event_id"]
        with self.client.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.hash}) as lines:
            for line in lines.iter_lines():
                told = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if told.get("msg") == "process_completed" and told["event_id"] == number:
                    assert told["success"], told
                    return told["output"]["data"]
        raise AssertionError("the stream ended")

    def upload(self, clip: Path) -> None:
        with clip.open("rb") as file:
            (place,) = self.client.post("/gradio_api/upload", files={"files": ("clip.mp4", file)}).json()
        given = {"path": place, "orig_name": "clip.mp4", "meta": {"_type": "gradio.FileData"}}
        self.called(self.event("clip-upload", "change"), given, self.token)

    def lift(self) -> None:
        part = (0, 0, "the middle", 0.5, 0.5)
        self.called(self.event("lift", "click"), self.token, None, "mine", *part, "flowmotion", MODEL, None)

    def cast(self, seed: int) -> None:
        told = (self.token, "mine.safetensors", "a red star", str(seed), "draft", MODEL, None, None)
        self.called(self.event("cast", "click"), *told)

    def newest(self) -> bytes:
        """The video that the page gives for download."""
        shown = next(each for each in self.events if "download" in map(self.names.get, each["outputs"]))
        remembered = [None] * (len(shown["inputs"]) - 1)  # the server puts in what it remembers of the session
        place = [*map(self.names.get, shown["outputs"])].index("download")
        button = self.called(shown, self.token, *remembered)[place]
        return self.client.get(button["value"]["url"]).raise_for_status().content


@pytest.mark.slow
def test_each_of_twenty_sessions_gets_its_own_video_from_the_page(
    tmp_path: Path, free_tcp_port: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(QUALITIES, "draft", {"steps": "2"})
    clip, data = tmp_path / "clip.mp4", tmp_path / "data"
    Clip.of(render([sample(3, 1, motion="arc", camera="still")]).frames[0], 8).save(clip)
    jobs = Jobs(data, Maker("cpu"))
    page = built(jobs, data, "0" * 64, "cpu")
    page.queue(default_concurrency_limit=AT_ONCE, api_open=False)
    page.launch(server_port=free_tcp_port, prevent_thread_lock=True, quiet=True)
    given: dict[str, bytes] = {}

    def visited(number: int) -> None:
        session = Session(f"http://127.0.0.1:{free_tcp_port}")
        own = Workspace.of(data, session.token)
        session.upload(clip)
        session.lift()
        until(lambda: [item.state for item in jobs.history.items(own.owner)] == [State.DONE])
        session.cast(number)
        until(lambda: [item.state for item in jobs.history.items(own.owner)] == [State.DONE] * 2)
        given[own.owner] = session.newest()

    threads = [threading.Thread(target=visited, args=[number]) for number in range(PEOPLE)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(given) == len(set(given.values())) == PEOPLE
        for owner, video in given.items():
            newest = jobs.history.items(owner)[0]
            assert video == (data / "visitors" / owner / newest.files[0]).read_bytes()
    finally:
        page.close(verbose=False)
        jobs.close()
