"""Seconds of one short transfer by the number of threads, on idle cores and beside other work, as a Markdown table.

Each row is of so many processes that do nothing but count, which stand for other work; each column of a number of threads, and the
last of the number that the program chooses. All is measured in one run, in turn, and the least of each is taken. Wall-clock time is
what is asked about here, so that the machine is to do nothing else meanwhile: what it did before the run is said above the table.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from motionlift.cli.threads import NAMED, usable_cores

COUNTING = "while True: pass"
SETTLED = 0.5
"""Seconds after which other work runs (ours)."""


@contextmanager
def beside(processes: int) -> Iterator[None]:
    """Other work: processes that count until left."""
    counting = [subprocess.Popen([sys.executable, "-c", COUNTING]) for _ in range(processes)]
    try:
        psutil.cpu_percent(SETTLED)
        yield
    finally:
        for process in counting:
            process.kill()
            process.wait()


def transferred(folder: Path, model: str, steps: int, threads: int | None) -> tuple[float, int]:
    """Seconds of a transfer, without imports and reading of the model, and its threads."""
    others = {name: value for name, value in os.environ.items() if name != NAMED}
    environment = {**others, **({} if threads is None else {NAMED: str(threads)})}
    arguments = (
        "--model",
        model,
        "--method",
        "none",
        "--steps",
        str(steps),
        "--prompt",
        "a red star on the blue field",
    )
    told = subprocess.run(
        [sys.executable, "-m", "motionlift", "transfer", "0000.mp4", *arguments, "--json", "--quiet", "--overwrite"],
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    record = json.loads(told.stdout)
    return record["seconds"], record["threads"]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny-dit")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    cores = usable_cores()
    counts = sorted({1, max(1, cores // 2), cores})
    print(
        f"{cores} cores, of which {psutil.cpu_percent(2.0) / 100 * (psutil.cpu_count() or 1):.1f} were taken before\n"
    )
    print(f"| other processes | {' | '.join(f'threads {count}' for count in counts)} | chosen |")
    print(f"|{'---|' * (len(counts) + 2)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = [sys.executable, "-m", "motionlift", "world", str(folder), "--count", "1", "--quiet"]
        subprocess.run(made, check=True, capture_output=True)
        for others in sorted({0, max(1, cores // 2), cores}):
            found: dict[int | None, list[tuple[float, int]]] = {}
            with beside(others):
                for _ in range(arguments.repeats):
                    for count in (*counts, None):
                        run = transferred(folder, arguments.model, arguments.steps, count)
                        found.setdefault(count, []).append(run)
            shown = [f"{min(found[count])[0]:.1f} s" for count in counts]
            seconds, threads = min(found[None])
            print(f"| {others} | {' | '.join(shown)} | {seconds:.1f} s, threads {threads} |", flush=True)


if __name__ == "__main__":
    main()
