"""A run on Ray, for tests that stop it: ``python -m tests.jobs.quick_run FOLDER COUNT SECONDS [ADDRESS]``."""

import sys
from pathlib import Path

from motionlift.cli.stopping import Stopping
from motionlift.jobs.ray_pool import LOCAL, RayPool
from tests.jobs.quick_work import items, writing


def main() -> None:
    """Work on items, as the program does: stopped by a signal, it ends with its code."""
    stopping = Stopping()
    stopping.listen()
    folder, count, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    address, workers = (sys.argv[4], None) if len(sys.argv) > 4 else (LOCAL, 2)
    try:
        with RayPool(address, workers) as pool:
            print("ready", flush=True)
            for number, *_ in pool.each(writing, items(folder, count, seconds), lambda item: (item.number, 0, 0.0)):
                print(number, flush=True)
    except KeyboardInterrupt:
        stopping.ignore()
        assert stopping.first is not None
        sys.exit(128 + stopping.first)


if __name__ == "__main__":
    main()
