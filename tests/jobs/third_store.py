"""Stores in a folder, for real processes, at addresses such as ``third://night/0.mp4``: of all together every third write fails.

The environment names the folder; ``tests/in_every_process`` makes the stores known.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock
from fsspec.implementations.local import LocalFileSystem

FOLDER = "THIRD_STORE"
"""What names the folder in the environment."""
WRITES, DEADLY = "writes", "deadly"
"""Files beside the folder: a byte for each write, and one that kills whoever puts a file there next, once."""


class Third(LocalFileSystem):
    """Takes files as they come, as stores of objects do; every third is half written, and that is told."""

    protocol: Any = "third"

    @classmethod
    def _strip_protocol(cls, path: Any) -> str:
        _, found, rest = str(path).partition("://")
        return LocalFileSystem._strip_protocol(str(Path(os.environ[FOLDER], rest)) if found else path)

    def put_file(self, path1: str, path2: str, callback: Any = None, **_: Any) -> None:
        content = Path(path1).read_bytes()
        with suppress(FileNotFoundError):
            (Path(os.environ[FOLDER]).parent / DEADLY).unlink()
            self._half(path2, content)
            os.kill(os.getpid(), signal.SIGKILL)
        self._written(path2, content)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        self._written(path, value)

    def _written(self, path: str, content: bytes) -> None:
        if self._counted() % 3 == 0:
            self._half(path, content)
            raise OSError("the store is busy")
        self._place(path).write_bytes(content)

    def _half(self, path: str, content: bytes) -> None:
        self._place(path).write_bytes(content[: len(content) // 2])

    def _place(self, path: str) -> Path:
        place = Path(self._strip_protocol(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def _counted(self) -> int:
        """The number of a write, of all that any process began."""
        counter = Path(os.environ[FOLDER]).parent / WRITES
        with FileLock(f"{counter}.lock"), counter.open("ab") as file:
            file.write(b".")
            return file.tell()


class Moving(Third):
    """Another in which a file takes another's place at once, as in a folder."""

    protocol = ("moving", "file")
