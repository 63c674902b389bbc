"""Memory as people write it, and as a device has it."""

import gc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import psutil
import torch

from motionlift.core.memory import read_memory
from motionlift.errors import SettingError

CGROUPS = Path("/sys/fs/cgroup")
"""Where control groups are seen, by which containers, schedulers of clusters and systemd limit memory (Linux)."""
OWN_GROUPS = Path("/proc/self/cgroup")
"""Says in which of them this process is."""


class _Group(NamedTuple):
    """How a version of control groups tells of memory."""

    folder: str
    limit: str
    used: str
    files: tuple[str, ...]
    """Lines of ``memory.stat`` that count pages of files, which the system drops where somebody needs the memory."""


VERSIONS = (
    _Group("", "memory.max", "memory.current", ("inactive_file", "active_file")),
    _Group(
        "memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        ("total_inactive_file", "total_active_file"),
    ),
)
"""Both versions (Linux, ``Documentation/admin-guide/cgroup-v2.rst`` and ``cgroup-v1/memory.rst``)."""


@dataclass(frozen=True)
class Room:
    """Memory of a device that a job may use."""

    kind: str
    """``cpu``, where that is main memory, ``cuda`` or ``mps``."""
    name: str
    """The device's name, by which what was measured on it is kept."""
    bytes: int
    """What may be used."""
    asked: bool = False
    """Whether somebody said how much."""
    main: int | None = None
    """Bytes of main memory that may be used beside the device's; None where it is main memory, or the device is not here."""

    @property
    def is_main(self) -> bool:
        """Whether it is main memory."""
        return self.kind == "cpu"

    @property
    def is_shared(self) -> bool:
        """Whether what is on the device takes of main memory too, as on Apple's GPUs."""
        return self.kind == "mps"


def told(size: float) -> str:
    """Bytes for a person, in the units that cards are sold by."""
    return f"{size / 10**9:.1f} GB" if size >= 10**9 else f"{size / 10**6:.0f} MB"


def room(device: torch.device, memory: str | int | None = None, held: int = 0, waiting: int = 0) -> Room:
    """What of a device's memory may be used.

    Args:
        device: it need not be here where a memory is given: then the job is only planned.
        memory: what somebody allows; by default all that is free now.
        held: bytes on it that the job's model holds already.
        waiting: bytes of main memory, beside a device, that the job's model holds already.

    Raises:
        SettingError: a memory that cannot be read, or more than there is.
    """
    name, free, total = _of(device)
    main = None if device.type == "cpu" or total is None else _main_beside(device) + waiting
    if memory is None:
        own = free + held if total is None else min(total, free + held)
        return Room(device.type, name, own, main=main)
    allowed = read_memory(memory)
    if total is not None and allowed > total:
        raise SettingError(
            f"memory is {told(allowed)}, and {_called(device)} has {told(total)}, of which {told(free)} are free: give no more "
            "than it has"
        )
    return Room(device.type, name, allowed, asked=True, main=main)


def own_memory() -> int:
    """Bytes of main memory that this process holds, and that are in no file.

    Weights that compute in the type that they are stored in stay in their files, of which the system shows the process the pages:
    those count as available.
    """
    now = psutil.Process().memory_info()
    return max(0, now.rss - getattr(now, "shared", 0))


def let_go() -> None:
    """Give back what PyTorch keeps of tensors that are gone, on the devices and in main memory."""
    gc.collect()  # parts of pipelines know each other
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        if hasattr(torch.accelerator, "empty_host_cache"):  # older PyTorch keeps pinned memory
            torch.accelerator.empty_host_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _called(device: torch.device) -> str:
    return "main memory" if device.type == "cpu" else f"the device {device}"


def _of(device: torch.device) -> tuple[str, int, int | None]:
    """Name, and bytes that are free and that there are; of a device that is not here nothing is known but its kind.

    What PyTorch keeps of tensors that are gone is free: the next ones get it.
    """
    if device.type == "cuda" and torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.get_device_name(device), min(total, free + kept), total
    if device.type == "mps" and torch.backends.mps.is_available():
        total = torch.mps.recommended_max_memory()
        return "mps", max(0, total - torch.mps.current_allocated_memory()), total
    if device.type != "cpu":
        return device.type, 0, None
    machine = psutil.virtual_memory()
    free, total = machine.available, machine.total
    for limit, unused in _limits():
        total, free = min(total, limit), min(free, unused)
    return "cpu", free, total


def _main_beside(device: torch.device) -> int:
    """Bytes of main memory that are free for what is beside a device, or on one that shares it."""
    _, free, _ = _of(torch.device("cpu"))
    if device.type != "mps":
        return free
    return free + max(0, torch.mps.driver_allocated_memory() - torch.mps.current_allocated_memory())


def _limits() -> Iterator[tuple[int, int]]:
    """What each control group around this process may use, and has left; none where nothing limits it."""
    for version, group in _own_groups():
        for own in (group, *group.parents):
            folder = CGROUPS / version.folder / own.relative_to("/")
            try:
                limit, used = int((folder / version.limit).read_text()), int((folder / version.used).read_text())
            except (OSError, ValueError):  # not there, or "max"
                continue
            yield limit, max(0, limit - max(0, used - _of_files(folder, version)))


def _own_groups() -> Iterator[tuple[_Group, PurePosixPath]]:
    """The control groups of this process that count memory.

    Within a container the outermost is seen as the root, also where the process is told its name as it is outside.
    """
    lines: list[str] = []
    with suppress(OSError, UnicodeError):
        lines = OWN_GROUPS.read_text("utf-8").splitlines()
    second, first = VERSIONS
    yield second, PurePosixPath("/")
    yield first, PurePosixPath("/")
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if path.startswith("/") and (not controllers or "memory" in controllers.split(",")):
            yield (first if controllers else second), PurePosixPath(path)


def _of_files(folder: Path, version: _Group) -> int:
    """Bytes that a control group uses for pages of files; nothing where that is not told."""
    try:
        told = dict(line.split(maxsplit=1) for line in (folder / "memory.stat").read_text().splitlines())
        return sum(int(told.get(name, 0)) for name in version.files)
    except (OSError, ValueError):
        return 0
