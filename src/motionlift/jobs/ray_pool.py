"""Workers of a Ray cluster: each an actor that keeps its model, all with one line of items; a lost one is replaced.

Ray is the extra ``motionlift[cluster]``, and is imported where a pool is made only (docs/decisions/0083).
"""

import asyncio
import functools
import logging
import math
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import psutil
from filelock import FileLock, Timeout

from motionlift.errors import ClusterError
from motionlift.jobs.children import put_away
from motionlift.jobs.putting_away import end_users
from motionlift.jobs.schedule import Done, Lost, Patience, worked
from motionlift.jobs.workers import GRACE, default_processes, prepare, worked_on
from motionlift.loops.interrupts import STOPPING

LOCAL = "local"
"""Starts Ray on this machine, and stops it at the end."""
AUTO = "auto"
"""Joins the cluster that ``ray start`` made this machine a node of, or that ``RAY_ADDRESS`` names."""
PATIENCE = Patience(tries=5, alone_from=5)
"""Workers of a cluster are lost without a fault of their items, too (ours: docs/scale.md has what other numbers cost)."""
MOST_STARTS = 5
"""Most workers that are lost in a row while they start, before no more are started (ours)."""
ANSWERS_WITHIN = 15.0
"""Seconds within which a cluster has to answer, most of which go to Ray's own start (ours)."""
LOOKED_AFTER = 1.0
"""Seconds after which a pool that waits looks whether its cluster is still there (ours)."""
HEARD_WITHIN = 2 * GRACE
"""Seconds that workers are waited for that are to end, before they are killed: their own grace, and the way to them (ours)."""
RUNG_WITHIN = 30.0
"""Seconds after which a worker asks again whether it is to end (ours)."""
TIDIED_WITHIN = 60.0
"""Seconds that machines have for what each does at the end (ours)."""
OBJECTS = 100 * 2**20
"""Bytes of the memory for results on this machine: they are records (ours; Ray takes at least 75 MiB)."""
LONGEST = 40
"""Longest path of temporary files below which Ray's sockets still have valid names (of 107 characters on Linux, 103 on macOS)."""
FOLDER = "motionlift-ray-"
"""How the folders of Ray's own files begin, of runs on this machine."""
CHANGED = ("RAY_AUTH_MODE",)
"""What Ray itself changes in the environment."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": ".*"}
"""What is said to Ray in the environment: that nothing is told to others, nor to a person about workers that are replaced."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Needs:
    """What one worker needs of its machine."""

    gpus: float = 0
    """How many, or a part of one."""
    memory: int = 0
    """Bytes of main memory; 0 where nothing is known of it."""
    cores: int = 1
    """How many; as many threads PyTorch uses."""

    def told(self) -> str:
        """For a person."""
        gpus = f"{self.gpus:g} GPU" if self.gpus else ""
        memory = f"{self.memory / 2**30:.1f} GiB" if self.memory else ""
        return ", ".join(part for part in (f"{self.cores} core" + "s" * (self.cores != 1), gpus, memory) if part)


class RayPool:
    """Workers within a ``with`` block; none outlives it, nor does a cluster that was started for it."""

    def __init__(
        self, address: str, workers: int | None = None, needs: Callable[[bool], Needs] = lambda has_gpus: Needs()
    ):
        """Nothing is started before the block.

        Args:
            address: :data:`LOCAL`, :data:`AUTO`, or ``HOST:PORT`` of a cluster's head of which this machine is a node.
            workers: how many; None for as many as fit into the cluster.
            needs: gives what each of them needs, told whether a machine of the cluster has a GPU.
        """
        self._address, self._count, self._asked, self._needs = address, workers, needs, Needs()
        self._stack = ExitStack()
        self._free: dict[Any, str] = {}
        self._starting: dict[Any, Any] = {}
        self._failed_starts = 0
        self._busy: dict[Any, tuple[Any, str]] = {}

    def __enter__(self) -> "RayPool":
        """Join or start the cluster, and its workers.

        Raises:
            ClusterError: Ray is not installed, there is no such cluster, or no machine of it has what a worker needs.
            MotionliftError: what ``needs`` raises.
        """
        self._ray = imported()
        with ExitStack() as stack:
            if self._address == LOCAL:
                self._count = self._count or default_processes()
            self._node = stack.enter_context(_joined(self._ray, self._address, self._count or 0))
            self._needs = self._asked(_has_gpus(self._ray.nodes()))
            self._start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._stack:
            if kind is not None:
                self._stop_at_once()
            for actor in [
                *self._free,
                *self._starting.values(),
                *(actor for actor, _ in self._busy.values()),
                self._bell,
            ]:
                self._end(actor)

    def each(
        self, work: Callable[[Item], Result], items: Iterable[Item], died: Callable[[Item], Result]
    ) -> Iterator[Result]:
        """Work on all items; yields results as they come.

        An item whose worker is lost is tried again, the last time alone on its machine (:data:`PATIENCE`).

        Args:
            work: a function that another process can import.
            items: they begin in this order; each is taken when a worker is free for it.
            died: gives the result of an item with which every worker was lost.

        Raises:
            ClusterError: the cluster is gone, or its workers cannot be started.
        """
        return worked(_Crew(self, work), items, died, PATIENCE)

    def everywhere(self, work: Callable[[Item], object], item: Item) -> None:
        """Do something once on each machine that has a worker, while nothing else is at work; what fails there is let be."""
        actors = {place: actor for actor, place in self._free.items()}
        asked = [actor.work.remote(work, item) for actor in actors.values()]
        if asked:
            with suppress(self._ray.exceptions.RayError, ConnectionError):
                self._ray.wait(asked, num_returns=len(asked), timeout=TIDIED_WITHIN)

    # What the crew does with the workers

    def free(self) -> list[tuple[Any, str]]:
        """Workers that are ready and have nothing to do, each with its machine."""
        return list(self._free.items())

    def give(self, actor: Any, work: Callable[[Any], Any], item: Any) -> None:
        """Give an item to a worker that is free."""
        self._busy[actor.work.remote(work, item)] = actor, self._free.pop(actor)

    def wait(self) -> Iterator[Done[Any, Any] | Lost[Any]]:
        """Wait until an item is done, or a worker is ready or lost."""
        for ref in self._ended():
            if ref in self._starting:
                self._started(ref)
                continue
            actor, place = self._busy.pop(ref)
            try:
                outcome = self._ray.get(ref)
            except self._ray.exceptions.RayTaskError as error:  # none of the work's: it cannot be found there, or sent
                raise ClusterError(f"workers of the cluster cannot work: {_last_line(str(error))}") from error
            except self._ray.exceptions.RayError:
                self._end(actor)  # it may be at work where nobody reaches it
                self._starting.update([self._new()])
                others = {*self._free.values(), *(other for _, other in self._busy.values())}
                yield Lost(actor, left=None if place in others else place)
                continue
            self._free[actor] = place
            if isinstance(outcome, Raised):
                raise outcome.error
            yield Done(actor, outcome)

    def _ended(self) -> list[Any]:
        """Of what was asked of workers, that which has ended; as soon as there is some."""
        while True:
            self._node.check()
            refs = [*self._starting, *self._busy]
            try:
                ended, _ = self._ray.wait(refs, num_returns=1, timeout=LOOKED_AFTER)
            except (self._ray.exceptions.RayError, ConnectionError) as error:
                raise ClusterError(GONE) from error
            if ended:
                more, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
                return more

    # Workers

    def _start(self) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        ray, needs = self._ray, self._needs
        count = _fitting(ray.nodes(), needs)
        if not count:
            raise ClusterError(
                f"no machine of the cluster has what a worker needs ({needs.told()}); give less, or add one"
            )
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        self._bell = ray.remote(num_cpus=0, scheduling_strategy=here, max_concurrency=10_000)(Bell).remote()
        options: dict[str, Any] = {"num_cpus": needs.cores, "num_gpus": needs.gpus, "max_restarts": 0}
        if needs.memory:
            options["memory"] = needs.memory
        self._kind = ray.remote(**options)(Hand)
        self._starting.update(self._new() for _ in range(self._count or count))

    def _new(self) -> tuple[Any, Any]:
        """One more worker, and by what it says that it is ready."""
        actor = self._kind.remote(self._bell, self._needs.cores, str(Path.cwd()))
        return actor.place.remote(), actor

    def _started(self, ref: Any) -> None:
        """A worker is ready, or was lost before."""
        actor = self._starting.pop(ref)
        try:
            self._free[actor] = self._ray.get(ref)
            self._failed_starts = 0
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= MOST_STARTS or getattr(error, "actor_init_failed", False):
                raise ClusterError(f"workers of the cluster do not start: {_last_line(str(error))}") from error
            self._starting.update([self._new()])

    def _end(self, actor: Any) -> None:
        with suppress(Exception):
            self._ray.kill(actor)

    def _stop_at_once(self) -> None:
        """Let those that are at work remove what is half written."""
        with suppress(Exception):
            self._ray.get(self._bell.ring.remote(), timeout=HEARD_WITHIN)
            if self._busy:
                self._ray.wait([*self._busy], num_returns=len(self._busy), timeout=HEARD_WITHIN)


GONE = "the cluster is gone; what is done stays: run the same again to go on"
"""What is said where Ray ends under a run."""


class _Crew(Generic[Item, Result]):
    """The workers as the schedule sees them, at one kind of work."""

    def __init__(self, pool: RayPool, work: Callable[[Item], Result]):
        self._pool, self._work = pool, work

    def free(self) -> list[tuple[Any, str]]:
        return self._pool.free()

    def give(self, worker: Any, item: Item) -> bool:
        self._pool.give(worker, self._work, item)
        return True

    def wait(self) -> Iterator[Done[Any, Result] | Lost[Any]]:
        return self._pool.wait()


# In the processes of the cluster


@dataclass(frozen=True)
class Raised:
    """An error that ends the run, as data: Ray would make another kind of it."""

    error: Exception


class Bell:
    """Tells workers, when it is rung, that they are to end at once."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    async def ring(self) -> None:
        """Tell all."""
        self._rung.set()

    async def rung(self) -> bool:
        """Whether it was, after some time at most."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), RUNG_WITHIN)
        return self._rung.is_set()


class Hand:
    """A worker: a process that keeps what functions keep in it, such as a model."""

    def __init__(self, bell: Any, threads: int, folder: str):
        with suppress(OSError):  # of a machine that has no such folder: paths of items are then its own
            os.chdir(folder)
        prepare(lambda: _is_rung(bell), threads)

    def place(self) -> str:
        """The machine it is on."""
        return imported().get_runtime_context().get_node_id()

    def work(self, work: Callable[[Item], Result], item: Item) -> Result | Raised:
        """Work on an item."""
        try:
            return worked_on(work, item)
        except Exception as error:
            return Raised(error)


def _is_rung(bell: Any) -> bool:
    """Wait until a bell is rung; False where it is gone."""
    ray = imported()
    try:
        while not ray.get(bell.rung.remote()):
            pass
    except Exception:  # its machine is lost, or Ray ends
        return False
    return True


# Clusters


def imported() -> Any:
    """Ray, imported.

    Raises:
        ClusterError: it is not installed.
    """
    with _said(QUIET):
        try:
            import ray
        except ImportError as error:
            raise ClusterError("clusters need Ray: pip install 'motionlift[cluster]'") from error
    return ray


@dataclass(frozen=True)
class _Node:
    """The processes of Ray on this machine that a run cannot do without; none, where others started them."""

    processes: tuple[psutil.Process, ...] = ()

    def check(self) -> None:
        """Refuse to wait for what is gone.

        Raises:
            ClusterError: one of them ended.
        """
        for process in self.processes:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                raise ClusterError(GONE)


@contextmanager
def _joined(ray: Any, address: str, cores: int) -> Iterator[_Node]:
    """Be a driver of a cluster, until left."""
    if ray.is_initialized():
        raise ClusterError("Ray is at work in this process already; end that first: ray.shutdown()")
    with ExitStack() as stack:
        how: dict[str, Any] = {"address": address}
        environment = dict(QUIET)
        if address == LOCAL:
            how |= {"num_cpus": cores, "include_dashboard": False, "object_store_memory": OBJECTS}
            folder = stack.enter_context(_own_folder())
            how["_temp_dir"] = str(folder)
            # Ray listens on the network, too: whoever does not know this word is refused. Without one it writes one to a file.
            environment["RAY_AUTH_TOKEN"] = os.environ.get("RAY_AUTH_TOKEN") or _word()
        else:
            _check_answers(address)
        stack.enter_context(_said(environment))
        stack.enter_context(_quiet())
        try:
            stack.callback(ray.shutdown)
            with _handlers_stay():
                ray.init(configure_logging=False, log_to_driver=False, **how)
        except Exception as error:  # of many kinds: versions that differ, no node here, no room on the disk
            raise ClusterError(f"cannot {_doing(address)}: {_last_line(str(error))}") from error
        if address != LOCAL:
            yield _Node()
            return
        started = psutil.Process().children(recursive=True)
        stack.enter_context(put_away(started, folder))  # else some would stay for minutes
        yield _Node(tuple(process for process in started if _named(process, "gcs_server", "raylet")))


@functools.cache
def _word() -> str:
    """What keeps others out of a cluster of this process: Ray reads it once, also where there are several in turn."""
    return secrets.token_hex(32)


def _doing(address: str) -> str:
    return "start Ray on this machine" if address == LOCAL else f"join the cluster {address!r}"


def _named(process: psutil.Process, *names: str) -> bool:
    try:
        return process.name() in names
    except psutil.Error:
        return False


def _check_answers(address: str) -> None:
    """Refuse an address where no cluster answers, soon: Ray itself would wait for minutes.

    Raises:
        ClusterError: it does not.
    """
    told = (
        "start one by `ray start --head`, or give its HOST:PORT"
        if address == AUTO
        else "look whether it runs, and its HOST:PORT"
    )
    if address != AUTO:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or "/" in address or not 0 < int(port) < 2**16:
            raise ClusterError(f"{address!r} is no address of a cluster; give {LOCAL}, {AUTO} or HOST:PORT of its head")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS_WITHIN / 2).close()
        except OSError as error:
            raise ClusterError(f"there is no cluster at {address} ({_plain(error)}); {told}") from error
    asking = [
        sys.executable,
        "-m",
        "ray.scripts.scripts",
        "status",
        *(() if address == AUTO else ("--address", address)),
    ]
    try:
        asked = subprocess.run(
            asking, capture_output=True, text=True, timeout=ANSWERS_WITHIN, stdin=subprocess.DEVNULL, check=False,
            env={**os.environ, **QUIET},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"no cluster answers at {address} within {ANSWERS_WITHIN:g} seconds; {told}") from error
    if asked.returncode:
        raise ClusterError(f"no cluster answers at {address} ({_last_line(asked.stderr)}); {told}")


def _plain(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _last_line(told: str) -> str:
    """The last line of what Ray says, which is the reason, in its first sentence."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    return lines[-1].split(". ")[0].rstrip(".") if lines else "it does not say why"


def _fitting(nodes: Iterable[dict[str, Any]], needs: Needs) -> int:
    """How many workers fit into the machines of a cluster."""
    wanted = {"CPU": needs.cores, "GPU": needs.gpus, "memory": needs.memory}
    asked = {name: amount for name, amount in wanted.items() if amount}
    return sum(
        min(math.floor(node["Resources"].get(name, 0) / amount) for name, amount in asked.items())
        for node in nodes
        if node["Alive"]
    )


def _has_gpus(nodes: Iterable[dict[str, Any]]) -> bool:
    """Whether a machine of a cluster has a GPU."""
    return any(node["Alive"] and node["Resources"].get("GPU", 0) for node in nodes)


@contextmanager
def _own_folder() -> Iterator[Path]:
    """A folder for Ray's own files, which goes at the end; those of runs that were killed go now."""
    base = Path(tempfile.gettempdir())
    if len(str(base)) > LONGEST and os.name == "posix":
        base = Path("/tmp")
    for left in base.glob(f"{FOLDER}*"):
        with suppress(OSError, Timeout), FileLock(left / "lock", timeout=0):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=FOLDER, dir=base))
    try:
        with FileLock(folder / "lock", timeout=0):
            yield folder
    finally:
        end_users(folder)  # a worker that was just being started where Ray's own process was killed
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _said(words: dict[str, str]) -> Iterator[None]:
    """Say something in the environment, to this process and those that it starts."""
    before = {name: os.environ.get(name) for name in (*words, *CHANGED)}
    os.environ.update(words)
    try:
        yield
    finally:
        for name, word in before.items():
            if word is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = word


@contextmanager
def _quiet() -> Iterator[None]:
    """Let Ray say nothing: what it does well nobody asked about, and what it cannot do is raised."""
    logger = logging.getLogger("ray")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _handlers_stay() -> Iterator[None]:
    """Put back who handles signals: Ray takes them for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
