"""A store that fails now and then, at addresses such as ``flaky://video.mp4``."""

from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class Flaky(MemoryFileSystem):
    """Fails every third write, after it wrote half; and as often as it is told to when it is read."""

    protocol = "flaky"
    store: dict[str, Any] = {}  # noqa: RUF012  # as fsspec's own has it
    pseudo_dirs = [""]  # noqa: RUF012
    writes = 0
    reads = 0
    fail_reads = 0

    @classmethod
    def empty(cls) -> None:
        """Hold nothing, and count from the beginning."""
        cls.store.clear()
        cls.writes = cls.reads = cls.fail_reads = 0

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return MemoryFileSystem._strip_protocol(path.removeprefix("flaky://"))

    def _written(self, path: str, content: bytes) -> None:
        Flaky.writes += 1
        if Flaky.writes % 3 == 0:
            super().pipe_file(path, content[: len(content) // 2])
            raise OSError("the store is busy")
        super().pipe_file(path, content)

    def put_file(self, lpath: str, rpath: str, **_: Any) -> None:
        self._written(rpath, Path(lpath).read_bytes())

    def pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        self._written(path, value)

    def _open(self, path: str, mode: str = "rb", **given: Any) -> Any:
        if mode == "rb":
            Flaky.reads += 1
            if Flaky.fail_reads:
                Flaky.fail_reads -= 1
                raise OSError("the store is busy")
        return super()._open(path, mode, **given)


fsspec.register_implementation("flaky", Flaky, clobber=True)
