"""What the page's tabs have in common: the queue, the visitor's workspace, and how wrong input is told."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from threading import RLock
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from gradio.components import Component
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from motionlift.app.history import OPEN, Item, State
from motionlift.app.jobs import Jobs
from motionlift.app.outcome import Outcome
from motionlift.app.tasks import CAST, Task
from motionlift.app.tidying import tidying
from motionlift.app.workspace import Workspace
from motionlift.errors import InputError, MotionliftError
from motionlift.models.sources import check_given

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
    weights: str | None = None
    """How the weights of models that are not bundled are held; by default as it fits."""
    motions: gr.State = field(default_factory=lambda: gr.State(""))
    """What changes whenever the visitor's motions do."""
    changing: RLock = field(default_factory=RLock)
    """Held while files and what names them are changed."""

    def refreshes(
        self,
        handler: Callable[..., Any],
        given: Sequence[Component],
        shown: Sequence[Component],
        stamp: gr.State | None = None,
    ) -> None:
        """Call a handler whenever something of the visitor's has changed; whenever a stamp has, where one is given."""
        (stamp or self.stamp).change(handler, list(given), list(shown), show_progress="hidden")

    def check_model(self, name: str) -> None:
        """Refuse a model by its folder where others reach the page: they would learn which files are there.

        Raises:
            ModelError: it is neither bundled nor given by the hub; what lies here is not told.
        """
        if not self.folders:
            check_given(name)

    def offered(self, file: Path | None) -> gr.DownloadButton:
        """A button by which a file is downloaded, of a copy: Gradio serves nothing of the data folder, and must not."""
        if file is None:
            return gr.DownloadButton(visible=False)
        return gr.DownloadButton(value=save_file_to_cache(file, get_upload_folder()), visible=True)

    def renewed(self, made: Outcome, before: str) -> tuple[Any, Any, str]:
        """What was made and the button that downloads it, where they are other than before: else a player goes on as it plays.

        Args:
            made: what is to be seen.
            before: the mark of what is seen.

        Returns:
            What is shown, the button, and its mark; the first two may be left as they are.
        """
        if made.mark == before:
            return gr.skip(), gr.skip(), before
        return made.html, self.offered(made.file), made.mark

    def workspace(self, token: str) -> Workspace:
        """The workspace of a visitor.

        Raises:
            InputError: the token is none.
        """
        return Workspace.of(self.data, token)

    def submit(self, token: str, *tasks: Task) -> list[Item]:
        """Put tasks of a visitor's into the queue: all of them, or none.

        Raises:
            MotionliftError: a source is not the visitor's, a model may not be named so, there is no room, or too many wait.
        """
        own = self.workspace(token)
        for model in {task.model for task in tasks}:
            self.check_model(model)
        with self.changing:
            for name in {name for task in tasks for name in task.names}:
                own.kept(name)
            own.check_room(0)
            return self.jobs.submit(own.owner, *tasks)

    def rename(self, token: str, motion: str, new: str) -> dict[str, str]:
        """Call a motion of a visitor's otherwise, in the history too; gives by each old name the new one.

        Raises:
            InputError: it is none of the visitor's, or what waits in the queue needs it.
        """
        own = self.workspace(token)
        with self.changing:
            self._check_free(own, motion, "rename")
            names = own.rename(motion, new)
            self.jobs.history.renamed(own.owner, names)
        return names

    def remove(self, token: str, motion: str) -> None:
        """Delete a motion of a visitor's, its pictures, and what nothing else names any more.

        Raises:
            InputError: it is none of the visitor's, or what waits in the queue needs it.
        """
        own = self.workspace(token)
        with self.changing, tidying(self.jobs, own):
            self._check_free(own, motion, "delete")
            own.remove(motion)

    def forget(self, item: Item) -> None:
        """Forget what has ended, and delete of what it read and made all that nothing else names.

        Raises:
            InputError: it waits or is worked on.
        """
        with self.changing, tidying(self.jobs, Workspace(self.data / "visitors" / item.owner)):
            if self.jobs.history.remove(item.number, item.owner):
                return
        if self.stopping([item]):
            raise InputError(f"number {item.number} is stopping; forget it when it has")
        raise InputError(f"number {item.number} waits or is being made; press Cancel it, and forget it then")

    def tidy(self, own: Workspace) -> None:
        """Delete of a visitor's files what was brought long ago and never used."""
        with self.changing, tidying(self.jobs, own):
            pass

    def _check_free(self, own: Workspace, motion: str, doing: str) -> None:
        items = self.jobs.history.items(own.owner, -1)
        waiting = next((item for item in items if item.state in OPEN and motion in item.task.names), None)
        if waiting is not None:
            raise InputError(f"number {waiting.number} in the queue needs it; {doing} it when that is done")

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
