"""What the tests of the command line call and look at."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from motionlift.cli.main import run
from motionlift.video.clip import Clip

PROMPT = "a red star on the blue field"
QUICK = ("--steps", "2", "--set", "share=0.5", "--set", "inner=1")


def left_behind(folder: str = ".") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def refused(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """The one line that a command line is refused with."""
    capsys.readouterr()
    before = left_behind()
    assert run(arguments) == code
    told = capsys.readouterr()
    assert told.out == ""
    err = without_phases(told.err)
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert left_behind() == before
    return err


def without_phases(err: str) -> str:
    """What was told on standard error, but for how far the work is."""
    return "".join(line for line in err.splitlines(keepends=True) if not line.startswith("phase: "))


def frames_of(path: str | Path) -> np.ndarray:
    """All frames of a video as another reader gives them, RGB."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def bad_references(folder: Path, good: bytes) -> dict[str, str]:
    """Files that are no reference, and what is said of each."""
    (folder / "folder.mp4").mkdir()
    (folder / "empty.mp4").touch()
    (folder / "truncated.mp4").write_bytes(good[: len(good) // 2])
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(4096))
    Clip.of(torch.zeros(1, 32, 32, 3, dtype=torch.uint8), 8.0).save(folder / "one-frame.mp4")
    with av.open(folder / "sound.mp4", "w") as container:
        stream = container.add_stream("aac", rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        container.mux([*stream.encode(sound), *stream.encode(None)])
    return {
        "missing.mp4": "does not exist",
        "folder.mp4": "is a folder",
        "empty.mp4": "is empty",
        "truncated.mp4": "damaged",
        "noise.mp4": "no video",
        "one-frame.mp4": "holds one frame",
        "sound.mp4": "sound only",
    }
