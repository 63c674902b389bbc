"""Records as ``motionlift bench`` writes them, made up."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from motionlift.video.clip import Clip

PROMPT = 'a star <script>document.title = "broken into"</script> & a “ring”'
"""What a page must show as it is, and not run."""


def record(method: str, reference: int, figures: dict[str, Any], **more: Any) -> dict[str, Any]:
    phases = [
        {"name": "lift", "seconds": 2.0, "passes": {"forward": 10, "backward": 0}},
        {"name": "cast", "seconds": 6.0, "passes": {"forward": 30, "backward": 5}},
    ]
    return {
        "model": "tiny",
        "method": method,
        "settings": {},
        "source": "world",
        "reference": f"{reference:04d}",
        "prompt": PROMPT,
        "kind": "0",
        "seed": 0,
        "figures": figures,
        "left_out": {},
        "phases": phases,
        "lifted_from_cache": False,
        "peak_memory_bytes": 700_000_000,
        "code": "0123456789abcdef",
        "device": "cpu",
        "versions": {"torch": "2.0", "platform": "here"},
        "frames": 9,
        "height": 32,
        "width": 32,
        "fps": 8.0,
        **more,
    }


def error_records(errors: dict[str, Sequence[float]]) -> list[dict[str, Any]]:
    """A record for each method and error; looks are right in every second."""
    return [
        record(method, reference, {"aligned_error": error, "looks": float(reference % 2)})
        for method, own in errors.items()
        for reference, error in enumerate(own)
    ]


def write(folder: Path, records: Sequence[dict[str, Any]]) -> Path:
    path = folder / "records.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    return path


def video(path: Path, frames: int = 9, side: int = 32) -> None:
    """A square that moves."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = torch.zeros(frames, side, side, 3, dtype=torch.uint8)
    for number in range(frames):
        pictures[number, 8:16, number : number + 8] = 255
    Clip.of(pictures, 8.0).save(path)
