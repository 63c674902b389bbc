"""Load a model, lift a motion, cast it onto a prompt; from names and paths to finished videos."""

import hashlib
import json
import platform
import resource
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import torch

from motionlift import cache, guide
from motionlift.backbones import serving
from motionlift.core import Advance, Backbone, Guided, Method, Passes, Phase, Reference, Shape, Source, Step
from motionlift.errors import InputError, ModelError, MotionError, SettingError
from motionlift.media import Clip, replacing
from motionlift.methods import method as method_named
from motionlift.motion import Motion
from motionlift.settings import with_values

BUNDLED = Path(__file__).parent / "zoo" / "weights"
"""Folder of the models that come with the package."""
BUNDLED_MODELS = ("tiny-dit",)
LONGEST_SIDE = 512
"""Longest side, in pixels, at which a reference is read for optical flow (ours)."""
MOST_PROMPT = 10_000
"""Most characters of a prompt; any text window is far smaller (ours)."""
SEEDS = (0, 2**63 - 1)

Result = TypeVar("Result")


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

    def save(self, path: str | Path) -> None:
        """Write the video, and its record beside it with the suffix ``.json``.

        Raises:
            OutputError: one of them cannot be written.
        """
        self.clip.save(path)
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        with replacing(Path(path).with_suffix(".json"), (".json",)) as partial:
            partial.write_text(json.dumps({**self.record, "output": {"path": str(path), "sha256": digest}}, indent=2))


@dataclass
class Run:
    """Seconds and passes of a run, phase by phase."""

    backbone: Backbone
    """The model that works."""
    phases: list[Phase] = field(default_factory=list)
    """Phases so far."""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure one phase."""
        started, forward, backward = time.perf_counter(), self.backbone.passes.forward, self.backbone.passes.backward
        yield
        passes = Passes(self.backbone.passes.forward - forward, self.backbone.passes.backward - backward)
        self.phases.append(Phase(name, time.perf_counter() - started, passes))


def ignore(step: Step) -> None:
    """The progress callback of those who want none."""


def load(model: Any = "tiny-dit", device: str = "auto") -> Backbone:
    """A model, ready to lift with and cast with.

    Args:
        model: a bundled name, a folder or hub name of a diffusers pipeline, or a loaded pipeline.
        device: ``auto``, or a torch device such as ``cpu`` or ``cuda:0``.

    Raises:
        ModelError: there is no such model, it cannot be read, or no backbone serves it.
        SettingError: the device does not exist here.
    """
    place = _device(device)
    if not isinstance(model, (str, Path)):
        return serving(type(model).__name__)(model, getattr(model, "name_or_path", "") or type(model).__name__, place)
    name = str(model)
    source = BUNDLED / name if name in BUNDLED_MODELS else name
    backbone = serving(_pipeline_class(name, source))
    return backbone(_read_pipeline(name, source, place), name, place)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(name)
        torch.zeros(1, device=place)
    except (RuntimeError, AssertionError) as error:
        raise SettingError(f"device {name!r} is not there; allowed are auto, cpu, and cuda where PyTorch finds one") from error
    return place


def _pipeline_class(name: str, source: str | Path) -> str:
    """Name of the pipeline class a model was saved with."""
    from diffusers import DiffusionPipeline

    looks_local = isinstance(source, Path) or name.startswith((".", "/", "~")) or Path(name).exists()
    if looks_local and not (Path(source) / "model_index.json").is_file():
        raise ModelError(f"{name} is no diffusers pipeline (no model_index.json there); allowed: {_allowed_models()}")
    try:
        return str(DiffusionPipeline.load_config(str(source))["_class_name"])
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"model {name!r} is not to be had; allowed: {_allowed_models()}") from error


def _allowed_models() -> str:
    return f"{', '.join(BUNDLED_MODELS)}, a folder of a diffusers pipeline, or a hub name such as zai-org/CogVideoX-5b"


def _read_pipeline(name: str, source: str | Path, device: torch.device) -> Any:
    """The pipeline itself: safetensors only, half precision on a GPU."""
    import diffusers

    kind = torch.float32 if device.type == "cpu" else torch.bfloat16
    cls = getattr(diffusers, _pipeline_class(name, source))
    try:
        return cls.from_pretrained(str(source), torch_dtype=kind, use_safetensors=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"model {name!r} is incomplete or damaged: {reason}") from error


def settings_for(method: Method, backbone: Backbone, values: Mapping[str, Any] | None) -> Guided:
    """The method's defaults for a model with some values changed, checked.

    Raises:
        SettingError: an unknown name, or a value that is not allowed.
    """
    settings = with_values(method.settings(backbone), values or {})
    blocks = method.blocks(settings)
    if not all(0 <= number < backbone.blocks for number in blocks):
        raise SettingError(
            f"block {', '.join(map(str, blocks))} does not exist in {backbone.name}; allowed are 0 to {backbone.blocks - 1}"
        )
    return settings


def lift(
    reference: str | Path | Clip,
    model: Any = "tiny-dit",
    method: str = "ditflow",
    *,
    frames: int | None = None,
    settings: Mapping[str, Any] | None = None,
    cached: bool = True,
    advance: Advance = ignore,
) -> Motion:
    """Lift the motion out of a reference.

    Args:
        reference: a video file or a clip.
        model: what :func:`load` takes or gives.
        method: name of a method.
        frames: length in frames; the model's own by default.
        settings: the method's settings by name.
        cached: use and fill the cache of lifted motions.
        advance: called with every step.

    Raises:
        MotionliftError: one of its kinds, for a bad reference, model, method or setting.
    """
    backbone = _loaded(model)
    return _lift(Run(backbone), reference, method_named(method), frames, settings, cached, advance)[0]


def _loaded(model: Any) -> Backbone:
    return model if isinstance(model, Backbone) else load(model)


def read_reference(reference: str | Path | Clip, backbone: Backbone, frames: int | None) -> Clip:
    """The reference with the model's frame count, rate and aspect, at most :data:`LONGEST_SIDE` wide or high.

    Raises:
        InputError: it cannot be read.
        SettingError: the model cannot make so many frames.
    """
    shape = backbone.fitting(frames)
    aspect = (shape.height, shape.width)
    if isinstance(reference, Clip):
        return reference.fitted(shape.frames, aspect)
    longest = max(LONGEST_SIDE, *aspect)
    return Clip.read(reference, frames=shape.frames, fps=backbone.fps, aspect=aspect, longest=longest)


def _lift(
    run: Run,
    reference: str | Path | Clip,
    method: Method,
    frames: int | None,
    values: Mapping[str, Any] | None,
    cached: bool,
    advance: Advance,
) -> tuple[Motion, Clip]:
    backbone = run.backbone
    settings = settings_for(method, backbone, values)
    with run.phase("read"):
        wide = read_reference(reference, backbone, frames)
    shape = backbone.fitting(frames)
    clip = wide.resized(shape.height, shape.width)
    source = Source(wide.sha256, float(wide.fps), shape)
    name = cache.key(
        {
            "source": asdict(source),
            "method": method.name,
            "settings": asdict(settings),
            "model": backbone.fingerprint,
            "version": metadata.version("motionlift"),
        }
    )
    with run.phase("lift"):
        kept = cache.find(name) if cached else None
        if kept is not None:
            return kept, clip
        pixels = clip.pixels()
        given = Reference(backbone.encode(pixels), pixels, wide.pixels(), shape)
        tensors = _finished(method.lift(given, backbone, settings), advance)
    motion = Motion(
        tensors={name: tensor.detach().cpu() for name, tensor in tensors.items()},
        method=method.name,
        settings=asdict(settings),
        model=backbone.name,
        identity=backbone.identity,
        grid=backbone.grid(shape),
        source=source,
        version=metadata.version("motionlift"),
    )
    if cached:
        cache.keep(name, motion)
    return motion, clip


def _finished(steps: Generator[Step, None, Result], advance: Advance) -> Result:
    """Run a loop to its end, passing its steps on; returns what the loop returns."""
    while True:
        try:
            advance(next(steps))
        except StopIteration as stop:
            return stop.value


def cast(
    motion: Motion,
    prompt: str,
    model: Any = "tiny-dit",
    *,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    advance: Advance = ignore,
) -> Video:
    """Make a video that shows the prompt and moves like the motion.

    Args:
        motion: what :func:`lift` gave.
        prompt: what the video shows.
        model: what :func:`load` takes or gives; the one that the motion was lifted with.
        seed: seed of the starting noise.
        settings: settings to change from those of the motion.
        advance: called with every step.

    Raises:
        MotionliftError: one of its kinds.
    """
    run = Run(_loaded(model))
    return _cast(run, motion, prompt, seed, settings, advance)


def check_prompt(prompt: str, backbone: Backbone) -> None:
    """Refuse a prompt before long work.

    Raises:
        InputError: it is empty or longer than the model's text window.
    """
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError("the prompt is empty; say what the video shows, such as 'a red star on a blue plain background'")
    if len(prompt) > MOST_PROMPT:
        raise InputError(f"the prompt has {len(prompt)} characters; at most {MOST_PROMPT} are read: shorten it")
    backbone.text(prompt)


def check_fit(motion: Motion, backbone: Backbone) -> None:
    """Refuse a motion that is not for this model.

    Raises:
        MotionError: another model, or another lattice.
    """
    if motion.identity != backbone.identity:
        raise MotionError(
            f"the motion was lifted with {motion.model} (lattice {motion.grid}) and does not fit {backbone.name}: "
            "cast it with that model, or lift it again with this one"
        )
    grid = backbone.grid(backbone.fitting(motion.source.shape.frames))
    if grid != motion.grid:
        raise MotionError(f"the motion has the lattice {motion.grid} and {backbone.name} {grid}: lift it again")


def _cast(
    run: Run, motion: Motion, prompt: str, seed: int, values: Mapping[str, Any] | None, advance: Advance
) -> Video:
    backbone, method = run.backbone, method_named(motion.method)
    check_fit(motion, backbone)
    check_prompt(prompt, backbone)
    if not isinstance(seed, int) or not SEEDS[0] <= seed <= SEEDS[1]:
        raise SettingError(f"seed is {seed!r}; allowed is a whole number from {SEEDS[0]} to {SEEDS[1]}")
    settings = settings_for(method, backbone, {**motion.settings, **(values or {})})
    shape = backbone.fitting(motion.source.shape.frames)
    job = guide.Casting(backbone, method, settings, motion.tensors, shape, prompt, seed)
    with run.phase("cast"):
        result = _finished(guide.cast(job), advance)
    with run.phase("decode"):
        clip = Clip.from_pixels(backbone.decode(result.latents), backbone.fps)
    kept = replace(motion, tensors={**motion.tensors, **{name: t.cpu() for name, t in result.positions.items()}})
    return Video(clip, _record(run, motion, settings, prompt, seed, result.losses), kept)


def transfer(
    reference: str | Path | Clip,
    prompt: str,
    model: Any = "tiny-dit",
    *,
    method: str = "ditflow",
    seed: int = 0,
    frames: int | None = None,
    settings: Mapping[str, Any] | None = None,
    cached: bool = True,
    advance: Advance = ignore,
) -> Video:
    """Lift and cast in one call; arguments as of :func:`lift` and :func:`cast`.

    Raises:
        MotionliftError: one of its kinds.
    """
    run = Run(_loaded(model))
    check_prompt(prompt, run.backbone)
    motion, clip = _lift(run, reference, method_named(method), frames, settings, cached, advance)
    video = _cast(run, motion, prompt, seed, settings, advance)
    return replace(video, reference=clip, record={**video.record, "reference_notices": list(clip.notices)})


def _record(
    run: Run, motion: Motion, settings: Guided, prompt: str, seed: int, losses: list[float]
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
        "device": str(getattr(backbone, "device", "cpu")),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "seconds": round(sum(phase.seconds for phase in run.phases), 3),
        "passes": {
            "forward": sum(phase.passes.forward for phase in run.phases),
            "backward": sum(phase.passes.backward for phase in run.phases),
        },
        "phases": [asdict(phase) for phase in run.phases],
        "peak_memory_bytes": peak_memory(),
        "losses": losses,
    }


def versions() -> dict[str, str]:
    """Versions of all that decides the numbers."""
    names = ("motionlift", "torch", "diffusers", "transformers", "av", "opencv-python-headless")
    return {name: metadata.version(name) for name in names} | {
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def peak_memory() -> int:
    """Most bytes held so far: on the GPU where there is one, else by this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


