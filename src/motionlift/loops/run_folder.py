"""The folder of one tuning run: its checkpoint, its losses, its previews, and a lock, so that two runs never share it."""

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionlift.environment import launched
from motionlift.errors import MotionError, OutputError
from motionlift.loops.checkpoint import Optimizer, Stateful, about_checkpoint, load_checkpoint, save_checkpoint
from motionlift.motion import run_files
from motionlift.motion.lock import held
from motionlift.motion.run_files import CHECKPOINT, HEAD, LOSS_TABLE, LOSSES
from motionlift.video.writing import remove_leftovers, replacing

DAMAGES = (OSError, RuntimeError)
"""What is raised of a file that is no checkpoint, or of other tensors."""


@dataclass(frozen=True)
class Row:
    """A line of the log of losses."""

    step: int
    """Steps that were done."""
    loss: float
    """Loss of the last of them."""
    seconds: float
    """Seconds it took."""


class RunFolder:
    """A folder that this process holds; made by :func:`opened`."""

    def __init__(self, path: Path, content: Mapping[str, Any], is_needed: bool = True):
        self.path = path
        self.content = content
        self.is_needed = is_needed
        """Whether work ends where the folder cannot be written; else it goes on, and a notice says so."""
        self.notices: list[str] = []
        """What a person should know."""
        self.removed = False
        """Whether it is to go."""
        self._rows: list[Row] = []

    @property
    def checkpoint(self) -> Path:
        """The checkpoint's file."""
        return self.path / CHECKPOINT

    def save(self, step: int, trained: Stateful, optimizer: Optimizer, more: Mapping[str, Any]) -> None:
        """Write checkpoint and losses; what was there before stays where that fails.

        Raises:
            OutputError: they cannot be written, and are needed.
        """
        try:
            self._write(step, trained, optimizer, more)
        except OutputError as error:
            if self.is_needed:
                raise OutputError(f"{error}; the last checkpoint stays") from error
            told = f"the tuning run is not kept, should it be stopped: {error}"
            self.notices += [] if told in self.notices else [told]

    def _write(self, step: int, trained: Stateful, optimizer: Optimizer, more: Mapping[str, Any]) -> None:
        # The losses first: rows beyond the checkpoint do no harm, and lacking ones would never come back.
        with replacing(self.path / LOSSES, LOSS_TABLE) as partial, partial.open("w", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(HEAD)
            lines.writerows((row.step, repr(row.loss), f"{row.seconds:.3f}") for row in self._rows)
        about = {"content": self.content, **more}
        save_checkpoint(self.checkpoint, step, {"adapter": trained}, {"adamw": optimizer}, about)

    def check(self) -> None:
        """Refuse a checkpoint of another run.

        Raises:
            MotionError: the checkpoint is damaged, or that of another run.
        """
        if self.checkpoint.exists():
            try:
                content = about_checkpoint(self.checkpoint).get("content")
                if not isinstance(content, dict):
                    raise RuntimeError("it does not say of what run it is")
            except DAMAGES as error:
                raise self._damaged(error) from error
            self._check_content(content)

    def resume(self, trained: Stateful, optimizer: Optimizer, most: int) -> tuple[int, dict[str, Any]]:
        """Take over the checkpoint, if there is one; returns the steps that are done and what else was saved.

        Raises:
            MotionError: the checkpoint is damaged, that of another run, or of more than ``most`` steps.
        """
        if not self.checkpoint.exists():
            return 0, {}
        self.check()
        try:
            step = load_checkpoint(self.checkpoint, {"adapter": trained}, {"adamw": optimizer})
        except DAMAGES as error:
            raise self._damaged(error) from error
        if step > most:
            raise MotionError(
                f"{self.path} holds a run of {step} steps, and {most} are asked for; ask for {step} or more, or give another folder"
            )
        self._rows = [row for row in self._read_rows() if row.step <= step]
        return step, about_checkpoint(self.checkpoint)

    def _damaged(self, error: Exception) -> MotionError:
        return MotionError(
            f"{self.checkpoint} is damaged or no checkpoint of this run ({' '.join(str(error).split())[:200]}); remove it to tune "
            "anew, or give another folder"
        )

    def _check_content(self, content: Mapping[str, Any]) -> None:
        differing = sorted(name for name in self.content if content.get(name) != self.content[name])
        differing += [] if content.keys() <= self.content.keys() else ["other words"]
        if differing:
            raise MotionError(
                f"{self.path} holds another run: its {', '.join(differing)} differ from what is asked for now; give another "
                "folder, or the same reference, model and settings to go on with it"
            )

    def _read_rows(self) -> list[Row]:
        path = self.path / LOSSES
        if not path.exists():
            return []
        try:
            with path.open(newline="") as file:
                return [
                    Row(int(row["step"]), float(row["loss"]), float(row["seconds"])) for row in csv.DictReader(file)
                ]
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise MotionError(
                f"{path} is no longer the log of this run; remove it to go on without its losses"
            ) from error

    def remove(self) -> None:
        """Remove what the run wrote, once what it was for is done; the folder goes when it is no longer held."""
        if is_first_process():
            run_files.remove(self.path)
            self.removed = True

    def log(self, row: Row) -> None:
        """Remember a loss; the next checkpoint writes it."""
        self._rows.append(row)


def is_first_process() -> bool:
    """Whether this process is the one that writes, of those that a launcher started."""
    return launched().rank == 0


def processes() -> int:
    """How many processes a launcher started for this run."""
    return launched().processes


@contextmanager
def opened(path: Path, content: Mapping[str, Any], wait: bool = False, is_needed: bool = True) -> Iterator[RunFolder]:
    """Hold a folder, made if need be, until left; of several processes of one run, the first holds it and the others read.

    Args:
        path: the folder.
        content: all that decides the run, ready for JSON; a checkpoint of another content is refused.
        wait: wait for a run that holds it.
        is_needed: whether work is to end where the folder can no longer be written.

    Raises:
        MotionError: its checkpoint is damaged, or that of another run.
        OutputError: it cannot be made or written, something lies in it that a run would replace and did not write, or another run
            holds it and is not waited for.
    """
    folder = RunFolder(path, content, is_needed)
    with held(path, wait) if is_first_process() else nullcontext():
        try:
            if is_first_process():
                run_files.claim(path)
                remove_leftovers(path, all_of_them=True)
            folder.check()
        except OSError as error:
            raise _unwritable(path, error, "give another folder") from error
        except MotionError:
            if is_needed or not is_first_process():
                raise
            run_files.remove(path)
            run_files.claim(path)
            folder.notices.append(f"{folder.checkpoint} was damaged; the run begins anew")
        yield folder
    if folder.removed:
        with suppress(OSError):  # as where another run has begun in it
            path.rmdir()


def _unwritable(path: Path, error: Exception, then: str) -> OutputError:
    reason = error.strerror if isinstance(error, OSError) else None
    return OutputError(f"cannot write to {path}: {reason or ' '.join(str(error).split())[:200]}; {then}")
