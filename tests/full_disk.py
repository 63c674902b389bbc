"""A small disk of its own, of which tests leave as much room as they like."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

BYTES = 2**20
"""Size of the disk."""


@dataclass(frozen=True)
class FullDisk:
    """The disk."""

    folder: Path
    """Where it is mounted."""

    @contextmanager
    def left(self, pages: int) -> Iterator[None]:
        """Leave room for so many pages, of 4 kB each, and no more."""
        ballast = self.folder / ".ballast"
        about = os.statvfs(self.folder)
        ballast.write_bytes(bytes(max(0, about.f_bfree - pages) * about.f_bsize))
        try:
            yield
        finally:
            ballast.unlink()


def mounted(folder: Path) -> Iterator[FullDisk]:
    """Mount it, and take it away again; tests are skipped where that is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", str(folder)]
    if os.name != "posix" or os.getuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs a disk of its own")
    try:
        yield FullDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
