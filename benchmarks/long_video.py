"""Most main memory in which a decoded video becomes the frames of a clip, each way in a process of its own.

Run from the root of a checkout: ``python -m benchmarks.long_video``. The pixels are in bfloat16, as an autoencoder gives them; what
is told is beyond them, in bytes for each value of a pixel: a clip itself takes one. ``whole`` is the same in one piece.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import psutil
import torch
from torch import Tensor

from motionlift.bench.cell import forget_peak_memory
from motionlift.video.clip import Clip

CPU = torch.device("cpu")


def whole(pixels: Tensor) -> Clip:
    """A clip of pixels that become whole numbers all at once."""
    numbers = pixels.to(torch.float32).clamp(-1, 1)
    return Clip.of(((numbers + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1), 8.0)


WAYS = {"pieces": lambda pixels: Clip.from_pixels(pixels, 8.0), "whole": whole}


def taken(way: str, frames: int, side: int) -> float:
    """Bytes for each value, beyond the pixels, that one way takes at most in this process."""
    WAYS[way](torch.zeros(2, 3, 8, 8, dtype=torch.bfloat16))  # what is loaded at first is no part of it
    pixels = torch.zeros(frames, 3, side, side, dtype=torch.bfloat16).fill_(0.5)
    forget_peak_memory(CPU)
    before = psutil.Process().memory_info().rss
    WAYS[way](pixels)
    return (most_held() - before) / pixels.numel()


def most_held() -> int:
    """Bytes that this process held at most since it was forgotten; Linux alone tells (proc(5))."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def apart(way: str, frames: int, side: int) -> float:
    """The same in a process of its own."""
    told = [sys.executable, "-m", "benchmarks.long_video", "--way", way, "--frames", str(frames), "--side", str(side)]
    return float(subprocess.run(told, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Print what both ways take."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--frames", type=int, default=800)
    parser.add_argument("--side", type=int, default=256)
    given = parser.parse_args()
    if given.way is not None:
        print(taken(given.way, given.frames, given.side))
        return
    for way in WAYS:
        print(f"{way}: {apart(way, given.frames, given.side):.2f} bytes a value")


if __name__ == "__main__":
    main()
