"""What the page's tabs have in common: the queue, the visitor's workspace, and how wrong input is told."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from gradio.components import Component
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from motionlift.app.history import OPEN, Item, State
from motionlift.app.jobs import Jobs
from motionlift.app.tasks import CAST, Task
from motionlift.app.workspace import Workspace
from motionlift.errors import InputError, MotionliftError

Given = ParamSpec("Given")
Found = TypeVar("Found")


def telling(handler: Callable[Given, Found]) -> Callable[Given, Found]:
    """A handler of the page whose refusals are shown as a notice, in which nothing from outside is HTML."""

    @functools.wraps(handler)
    def told(*given: Given.args, **named: Given.kwargs) -> Found:
        try:
            return handler(*given, **named)
        except MotionliftError as error:
            raise gr.Error(escape(str(error)), print_exception=False) from error

    return told


@dataclass(frozen=True)
class Desk:
    """What every tab works with."""

    jobs: Jobs
    """The queue."""
    data: Path
    """Folder of all data."""
    token: gr.BrowserState
    """The visitor's token, kept by the visitor's browser."""
    stamp: gr.State
    """What changes whenever something of the visitor's does."""
    device: str = "auto"
    """Where models run."""
    folders: bool = False
    """Whether a model may be named by its folder: where nobody else reaches the page."""

    def refreshes(self, handler: Callable[..., Any], given: Sequence[Component], shown: Sequence[Component]) -> None:
        """Call a handler whenever something of the visitor's has changed."""
        self.stamp.change(handler, list(given), list(shown), show_progress="hidden")

    def offered(self, file: Path | None) -> gr.DownloadButton:
        """A button by which a file is downloaded, of a copy: Gradio serves nothing of the data folder, and must not."""
        if file is None:
            return gr.DownloadButton(visible=False)
        return gr.DownloadButton(value=save_file_to_cache(file, get_upload_folder()), visible=True)

    def workspace(self, token: str) -> Workspace:
        """The workspace of a visitor.

        Raises:
            InputError: the token is none.
        """
        return Workspace.of(self.data, token)

    def submit(self, token: str, *tasks: Task) -> list[Item]:
        """Put tasks of a visitor's into the queue: all of them, or none.

        Raises:
            MotionliftError: a source is not the visitor's, or too many wait.
        """
        own = self.workspace(token)
        for task in tasks:
            own.kept(task.source)
        return self.jobs.submit(own.owner, *tasks)

    def rename(self, token: str, motion: str, new: str) -> dict[str, str]:
        """Call a motion of a visitor's otherwise, in the history too; gives by each old name the new one.

        Raises:
            InputError: it is none of the visitor's, or what waits in the queue needs it.
        """
        own = self.workspace(token)
        items = self.jobs.history.items(own.owner)
        waiting = next((item for item in items if item.state in OPEN and item.task.source == motion), None)
        if waiting is not None:
            raise InputError(f"number {waiting.number} in the queue needs this motion; rename it when that is done")
        names = own.rename(motion, new)
        self.jobs.history.renamed(own.owner, names)
        return names

    def places(self, items: Sequence[Item]) -> dict[int, int]:
        """By number, how many tasks come before those that wait."""
        found = {item.number: self.jobs.place(item.number) for item in items if item.state in OPEN}
        return {number: ahead for number, ahead in found.items() if ahead}

    def stopping(self, items: Sequence[Item]) -> frozenset[int]:
        """Numbers of those that were cancelled and are still worked on."""
        return frozenset(item.number for item in items if item.state in OPEN and self.jobs.is_stopping(item.number))

    def videos(self, token: str) -> list[Item]:
        """Videos that a visitor made, newest first."""
        items = self.jobs.history.items(self.workspace(token).owner)
        return [item for item in items if item.state is State.DONE and item.task.kind == CAST]

    def first_open(self, token: str) -> Item | None:
        """The task of a visitor that is worked on, or the first that waits."""
        items = [item for item in self.jobs.history.items(self.workspace(token).owner) if item.state in OPEN]
        return items[-1] if items else None
