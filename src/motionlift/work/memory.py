"""Memory as people write it, and as a device has it."""

from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from motionlift.core.memory import read_memory
from motionlift.errors import SettingError

LIMITS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
"""Files under ``/sys/fs/cgroup`` that tell what a container may use and uses, of both versions (Linux)."""
CGROUPS = Path("/sys/fs/cgroup")


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

    @property
    def is_main(self) -> bool:
        """Whether it is main memory."""
        return self.kind == "cpu"


def told(size: float) -> str:
    """Bytes for a person, in the units that cards are sold by."""
    return f"{size / 10**9:.1f} GB" if size >= 10**9 else f"{size / 10**6:.0f} MB"


def room(device: torch.device, memory: str | int | None = None, held: int = 0) -> Room:
    """What of a device's memory may be used.

    Args:
        device: it need not be here where a memory is given: then the job is only planned.
        memory: what somebody allows; by default all that is free now.
        held: bytes on it that the job's model holds already.

    Raises:
        SettingError: a memory that cannot be read, or more than there is.
    """
    name, free, total = _of(device)
    if memory is None:
        return Room(device.type, name, free + held)
    allowed = read_memory(memory)
    if total is not None and allowed > total:
        raise SettingError(
            f"memory is {told(allowed)}, and {_called(device)} has {told(total)}, of which {told(free)} are free: give no more "
            "than it has"
        )
    return Room(device.type, name, allowed, asked=True)


def _called(device: torch.device) -> str:
    return "main memory" if device.type == "cpu" else f"the device {device}"


def _of(device: torch.device) -> tuple[str, int, int | None]:
    """Name, and bytes that are free and that there are; of a device that is not here nothing is known but its kind."""
    if device.type == "cuda" and torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info(device)
        return torch.cuda.get_device_name(device), free, total
    if device.type == "mps" and torch.backends.mps.is_available():
        total = torch.mps.recommended_max_memory()
        return "mps", max(0, total - torch.mps.driver_allocated_memory()), total
    if device.type != "cpu":
        return device.type, 0, None
    machine = psutil.virtual_memory()
    free, total = machine.available, machine.total
    for most, used in LIMITS:
        try:
            limit, current = int((CGROUPS / most).read_text()), int((CGROUPS / used).read_text())
        except (OSError, ValueError):  # not there, or "max"
            continue
        total, free = min(total, limit), min(free, max(0, limit - current))
    return "cpu", free, total
