"""A thousand workers on paper: the scheduler of processes and actors, with a clock of its own and jobs that only take time.

What runs is :func:`motionlift.jobs.schedule.worked`, the code of both pools: this file stands in for the workers, and tells of each
when it is ready, done, or lost. Workers are lost at random, each minute a part of them, and start again on their machine. As a
Markdown table.
"""

import argparse
import heapq
import itertools
import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from motionlift.jobs.ray_pool import PATIENCE
from motionlift.jobs.schedule import Done, Lost, Patience, worked

MINUTE = 60.0
"""Seconds of one."""
COLUMNS = (
    "lost", "jobs an hour", "of what there is", "tail, minutes", "work lost", "tries a job", "given up, of a million",
    "deadly, given up",
)  # fmt: skip
HEADER = f"| {' | '.join(COLUMNS)} |\n|---{'|--:' * (len(COLUMNS) - 1)}|\n"


@dataclass(frozen=True)
class Scene:
    """What is simulated; all of it is assumed, and none of it measured."""

    workers: int = 1000
    per_machine: int = 8
    jobs: int = 20_000
    minutes: float = 2.0
    """Median time of a job."""
    spread: float = 0.3
    """Deviation of its logarithm: log-normal, as times of many equal passes on machines that differ."""
    starting: float = 60.0
    """Seconds until a worker is ready: Python, PyTorch, and the weights read."""
    lost: float = 0.05
    """Part of the workers that are lost in a minute."""
    together: bool = False
    """Whether workers are lost with all others of their machine, as where it is taken away."""
    deadly: int = 0
    """Jobs that end their worker whatever is done."""
    patience: Patience = PATIENCE


@dataclass
class Tally:
    """What came of it."""

    begun: int = 0
    done: int = 0
    given_up: int = 0
    innocent: int = 0
    """Of those that were given up: not deadly."""
    seconds: float = 0.0
    """Until the last was done."""
    at_work: float = 0.0
    """Seconds of all workers at jobs."""
    wasted: float = 0.0
    """Of these: at work that was lost with its worker."""
    ends: list[float] = field(default_factory=list)


class Simulated:
    """Workers as the schedule sees them; time passes where somebody waits."""

    def __init__(self, scene: Scene, seed: int):
        self.scene, self.tally, self.now = scene, Tally(), 0.0
        self._random = random.Random(seed)
        self._order = itertools.count()
        self._coming: list[tuple[float, int, str, int, int]] = []  # when, order, what, worker, its life
        self._life = dict.fromkeys(range(scene.workers), 0)
        self._idle: dict[int, str] = {}
        self._since: dict[int, tuple[float, int]] = {}
        self._seconds = [
            scene.minutes * MINUTE * math.exp(self._random.gauss(0, scene.spread)) for _ in range(scene.jobs)
        ]
        self._deadly = {*self._random.sample(range(scene.jobs), scene.deadly)}
        for worker in range(scene.workers):
            self._come(scene.starting, "ready", worker)
        if scene.lost:
            self._next_loss()

    def place(self, worker: int) -> str:
        """The machine of a worker."""
        return str(worker // self.scene.per_machine)

    def free(self) -> list[tuple[int, str]]:
        """Those that are ready and have no job."""
        return list(self._idle.items())

    def give(self, worker: int, job: int) -> bool:
        """Begin a job; when it ends, or its worker with it, is known at once."""
        del self._idle[worker]
        self.tally.begun += 1
        self._since[worker] = self.now, job
        seconds = self._seconds[job]
        self._come(seconds / 2 if job in self._deadly else seconds, "lost" if job in self._deadly else "done", worker)
        return True

    def wait(self) -> Iterator[Done[int, int] | Lost[int]]:
        """Let time pass until something happens."""
        when, _, what, worker, life = heapq.heappop(self._coming)
        self.now = when
        if what == "loss":
            lost = self._struck()
            self._next_loss()
        elif life != self._life[worker]:  # it was lost meanwhile
            return
        elif what == "ready":
            self._idle[worker] = self.place(worker)
            return
        elif what == "done":
            began, job = self._since.pop(worker)
            self.tally.at_work += self.now - began
            self._idle[worker] = self.place(worker)
            yield Done(worker, job)
            return
        else:
            lost = [worker]
        for each in lost:
            yield from self._lost(each)

    def _struck(self) -> list[int]:
        worker = self._random.randrange(self.scene.workers)
        if not self.scene.together:
            return [worker]
        return [other for other in self._life if self.place(other) == self.place(worker)]

    def _lost(self, worker: int) -> Iterator[Lost[int]]:
        self._life[worker] += 1
        self._idle.pop(worker, None)
        self._come(self.scene.starting, "ready", worker)
        if worker in self._since:
            began, _ = self._since.pop(worker)
            self.tally.at_work += self.now - began
            self.tally.wasted += self.now - began
            yield Lost(worker, None if self._others(worker) else self.place(worker))

    def _others(self, worker: int) -> bool:
        """Whether its machine has a worker that is ready."""
        place = int(self.place(worker)) * self.scene.per_machine
        return any(
            other in self._idle or other in self._since for other in range(place, place + self.scene.per_machine)
        )

    def _next_loss(self) -> None:
        size = self.scene.per_machine if self.scene.together else 1
        each_minute = self.scene.workers * self.scene.lost / size
        self._come(self._random.expovariate(each_minute / MINUTE), "loss", 0)

    def _come(self, after: float, what: str, worker: int) -> None:
        heapq.heappush(self._coming, (self.now + after, next(self._order), what, worker, self._life[worker]))


def simulated(scene: Scene, seed: int = 0) -> Tally:
    """Run all jobs of a scene."""
    crew = Simulated(scene, seed)
    tally = crew.tally
    for result in worked(crew, range(scene.jobs), lambda job: -job - 1, scene.patience):
        if result < 0:
            tally.given_up += 1
            tally.innocent += -result - 1 not in crew._deadly
        else:
            tally.done += 1
            tally.ends.append(crew.now)
    tally.seconds = crew.now
    return tally


def row(name: str, scene: Scene, seeds: int) -> str:
    """A line of the table: means over seeds."""
    tallies = [simulated(scene, seed) for seed in range(seeds)]

    def mean(value: Callable[[Tally], float]) -> float:
        return statistics.fmean(map(value, tallies))

    ideal = scene.workers / (scene.minutes * MINUTE * math.exp(scene.spread**2 / 2)) * 3600
    cells = (
        name,
        f"{mean(_middle):,.0f}",
        f"{mean(_middle) / ideal:.0%}",
        f"{mean(lambda tally: tally.seconds - _quantile(tally.ends, 0.99)) / MINUTE:.1f}",
        f"{mean(lambda tally: tally.wasted / tally.at_work):.1%}",
        f"{mean(lambda tally: tally.begun / scene.jobs):.3f}",
        f"{mean(lambda tally: tally.innocent / scene.jobs) * 1e6:,.0f}",
        f"{mean(lambda tally: tally.given_up - tally.innocent):g} of {scene.deadly}",
    )
    return f"| {' | '.join(cells)} |"


def _middle(tally: Tally) -> float:
    """Jobs an hour between the tenth and the last tenth: without start and tail."""
    first, last = _quantile(tally.ends, 0.1), _quantile(tally.ends, 0.9)
    return 0.8 * len(tally.ends) / (last - first) * 3600


def _quantile(ends: list[float], part: float) -> float:
    return sorted(ends)[int(part * (len(ends) - 1))]


def scenes(base: Scene) -> dict[str, Scene]:
    """The lines of the table: what is lost, and what is done about it."""
    others = {
        "two tries, the second alone": Patience(tries=2, alone_from=2),
        "three tries, the last alone": Patience(tries=3, alone_from=3),
        "five tries, none alone": Patience(tries=5, alone_from=6),
    }
    return {
        "nothing": replace(base, lost=0.0),
        "1 % a minute": replace(base, lost=0.01),
        "5 % a minute": base,
        "5 %, by machines": replace(base, together=True),
        "5 %, and 20 jobs are deadly": replace(base, deadly=20),
        "5 %, jobs of 30 seconds": replace(base, minutes=0.5),
        "5 %, jobs of 10 minutes": replace(base, minutes=10.0),
        **{f"5 %; {name}": replace(base, patience=patience) for name, patience in others.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=Scene.workers)
    parser.add_argument("--jobs", type=int, default=Scene.jobs)
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    base = Scene(workers=given.workers, jobs=given.jobs)
    sys.stdout.write(
        f"{base.workers} workers, {base.per_machine} a machine; {base.jobs} jobs of {base.minutes:g} minutes, where no other "
        f"number is told; a worker is ready after {base.starting:g} seconds; {base.patience.tries} tries, the last alone. "
        f"Means of {given.seeds} runs.\n\n{HEADER}"
    )
    for name, scene in scenes(base).items():
        sys.stdout.write(row(name, scene, given.seeds) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
