"""How much memory a measure of two videos' tracks takes, found in a process of its own."""

import os
import subprocess
import sys

POINTS, FRAMES = 2500, 49
"""Tracks of a full grid through a video of CogVideoX."""
PAIRS = POINTS**2 * 8
"""Bytes of one number in double precision for every pair of such tracks."""
LITTLE = 3 * PAIRS // 2
"""Bytes that a measure may take: the tracks and a block of pairs, but not two numbers for every pair."""
PROGRAM = """
import re, resource, sys, torch
from pathlib import Path
from motionlift.measure import discrepancy, fidelity, matching

def most_held():
    status = Path("/proc/self/status")
    if status.exists():  # there the other count begins with what the parent held
        return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

torch.set_num_threads(1)  # else each thread may hold blocks of its own, or not
points, frames, rows = map(int, sys.argv[2:])
measure = eval(sys.argv[1])
tracks = torch.rand(points, frames, 2, generator=torch.Generator().manual_seed(0)) * 100
measure(tracks[:9])
matching.ROWS = fidelity.ROWS = rows
before = most_held()
measure(tracks)
print(most_held() - before)
"""


def bytes_taken(measure: str, rows: int) -> int:
    """What memory grows by, in bytes, where ``rows`` tracks are compared with all others at a time.

    Args:
        measure: a function of ``tracks``, as Python writes it.
        rows: as :data:`motionlift.measure.matching.ROWS`.
    """
    command = [sys.executable, "-c", PROGRAM, measure, str(POINTS), str(FRAMES), str(rows)]
    # Large blocks go back at once when freed: else the allocator keeps some, one time more and one time fewer.
    own = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    return int(subprocess.run(command, capture_output=True, text=True, check=True, env=own).stdout)
