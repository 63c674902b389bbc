"""What the environment says of the processes that a launcher such as ``accelerate launch`` started, and of Apple's GPUs."""

import os
import sys
from dataclasses import dataclass

from motionlift.errors import SettingError

NAMES = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1}
"""The variables and the least value of each."""
ADVICE = "start several processes by accelerate launch, which sets both, or unset them"
FALLBACK = "PYTORCH_ENABLE_MPS_FALLBACK"
"""Where it is 1 before PyTorch is imported, operations that its MPS backend lacks run on the CPU (PyTorch's documentation)."""
MOST = 100_000
"""Most processes of one run (ours: more than any launcher starts)."""


def let_fall_back() -> None:
    """Let operations that an Apple GPU lacks run on the CPU, unless the environment says otherwise.

    Once PyTorch is imported it is too late for that, and nothing is changed.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault(FALLBACK, "1")


def fallback_line() -> str:
    """What is to be known of a model on an Apple GPU: what becomes of operations that PyTorch lacks there."""
    if os.environ.get(FALLBACK) == "1":
        return "operations that this PyTorch lacks for Apple's GPUs run on the CPU, which takes longer"
    return (
        f"operations that this PyTorch lacks for Apple's GPUs end the work: set {FALLBACK}=1 before PyTorch is imported, and "
        "they run on the CPU"
    )


@dataclass(frozen=True)
class Launched:
    """This process among those of one run."""

    rank: int
    """Its number: the first, 0, writes."""
    local_rank: int
    """Its number on its machine."""
    processes: int
    """How many there are."""


def launched() -> Launched:
    """This process among those that a launcher started, by ``RANK``, ``LOCAL_RANK`` and ``WORLD_SIZE``; alone without one.

    Raises:
        SettingError: one of them is no whole number, or they do not go together.
    """
    rank, local_rank, processes = (_whole(name, least) for name, least in NAMES.items())
    if rank is None and (processes or 1) > 1:
        raise SettingError(f"WORLD_SIZE is {processes}, but RANK is not set: {ADVICE}")
    if processes is None and rank:
        raise SettingError(
            f"RANK is {rank}, so that another process would have to write, but WORLD_SIZE is not set: {ADVICE}"
        )
    if processes is not None and (rank or 0) >= processes:
        raise SettingError(f"RANK is {rank}, but WORLD_SIZE is {processes}: ranks are counted from 0; {ADVICE}")
    return Launched(rank or 0, local_rank or 0, processes or 1)


def check_processes(processes: int) -> None:
    """Refuse a share among more or fewer processes than were started.

    Args:
        processes: how many are to share.

    Raises:
        SettingError: there are others.
    """
    there = launched().processes
    if there != processes:
        raise SettingError(
            f"{processes} processes are to share the sequence, and {there} {'was' if there == 1 else 'were'} started: start "
            f"them by accelerate launch --multi_gpu --num_processes {processes} -m motionlift ... --parallel context={processes}"
        )


def _whole(name: str, least: int) -> int | None:
    """The whole number that a variable holds; None where it is not set."""
    named = os.environ.get(name, "").strip()
    if not named:
        return None
    if not (named.isascii() and named.isdecimal() and len(named) <= len(str(MOST)) and least <= int(named) <= MOST):
        raise SettingError(
            f"{name} is {named[:40]!r} in the environment; allowed is a whole number from {least} to {MOST}"
        )
    return int(named)
