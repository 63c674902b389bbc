"""Finished videos and the records of how they came about."""

import hashlib
import json
import platform
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from motionlift.core.cost import Passes, Phase
from motionlift.core.method import Tuner
from motionlift.core.method_settings import Sampled
from motionlift.core.model import Backbone
from motionlift.core.settings import with_values
from motionlift.methods import method as method_named
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.video.writing import replacing


@dataclass(frozen=True)
class Video:
    """A finished video and how it came about."""

    clip: Clip
    """The frames."""
    record: Mapping[str, Any]
    """Settings, versions, seconds, passes, memory and hashes, JSON-ready."""
    motion: Motion
    """The motion it was cast from, with the positions that this run optimised, if it did."""
    reference: Clip | None = None
    """The reference at the model's size, where the run began with one."""
    keyframes: Clip | None = None
    """The frames before the stages of a cascade, where there were any."""

    def save(self, path: str | Path) -> None:
        """Write the video, and its record beside it with the suffix ``.json``.

        Raises:
            OutputError: one of them cannot be written.
        """
        with replacing(Path(path).with_suffix(".json"), (".json",)) as partial:
            self.clip.save(path)
            digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            partial.write_text(json.dumps({**self.record, "output": {"path": str(path), "sha256": digest}}, indent=2))


@dataclass
class Run:
    """Seconds and passes of a run, phase by phase."""

    backbone: Backbone
    """The model that works."""
    phases: list[Phase] = field(default_factory=list)
    """Phases so far."""
    reference: Clip | None = None
    """The reference at the model's size, once it was read."""
    from_cache: bool = False
    """Whether the motion came from the cache."""
    losses: list[float] = field(default_factory=list)
    """Loss of every tuning step of this run."""

    @contextmanager
    def phase(self, name: str, counted: Passes | None = None) -> Iterator[None]:
        """Measure one phase; its passes are those of the model, or as they are counted elsewhere."""
        counted = counted or self.backbone.passes
        started, forward, backward = time.perf_counter(), counted.forward, counted.backward
        yield
        passes = Passes(counted.forward - forward, counted.backward - backward)
        self.phases.append(Phase(name, time.perf_counter() - started, passes))


def record_of(
    run: Run, motion: Motion, settings: Sampled, prompt: str, seed: int, losses: list[float]
) -> dict[str, Any]:
    """All that it takes to repeat a run, and what it cost."""
    backbone = run.backbone
    return {
        "prompt": prompt,
        "seed": seed,
        "method": motion.method,
        "settings": asdict(settings),
        "model": {"name": backbone.name, "identity": backbone.identity, "fingerprint": backbone.fingerprint},
        "frames": motion.source.shape.frames,
        "source": asdict(motion.source),
        "motion_sha256": motion.digest(),
        "device": str(backbone.device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        **costs(run),
        **tuning_prompt(motion),
        "losses": [*run.losses, *losses],
    }


def tuning_prompt(motion: Motion) -> dict[str, str]:
    """The prompt that a motion was tuned with, for records; nothing where nothing was tuned."""
    method = method_named(motion.method)
    if not isinstance(method, Tuner):
        return {}
    return {"tuning_prompt": method.caption(with_values(method.Settings(), motion.settings))}


def costs(run: Run) -> dict[str, Any]:
    """Seconds, passes and memory of a run, as its record says them."""
    return {
        "seconds": round(sum(phase.seconds for phase in run.phases), 3),
        "passes": {
            "forward": sum(phase.passes.forward for phase in run.phases),
            "backward": sum(phase.passes.backward for phase in run.phases),
        },
        "phases": [asdict(phase) for phase in run.phases],
        "peak_memory_bytes": peak_memory(str(run.backbone.device)),
    }


def versions() -> dict[str, str]:
    """Versions of all that decides the numbers."""
    names = ("motionlift", "torch", "diffusers", "transformers", "av", "opencv-python-headless")
    return {name: metadata.version(name) for name in names} | {
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def peak_memory(device: str = "cpu") -> int:
    """Most bytes held so far: by tensors on a GPU, or by this process where the device is none."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
