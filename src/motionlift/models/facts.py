"""What there is to say of every family of models before one is loaded."""

import inspect
from dataclasses import dataclass
from typing import Any

import diffusers

from motionlift.core.method_settings import Sampled
from motionlift.core.sampler_names import DIFFUSION_SAMPLERS, FLOW_SAMPLERS, OWN
from motionlift.models.families import families
from motionlift.models.positions import NoPositions
from motionlift.models.sources import BUNDLED_MODELS
from motionlift.models.transformer import Row
from motionlift.motion.readers import READERS

MOST_TOLD = 12
"""Sizes that are told one by one; of more only the ends are (ours)."""


@dataclass(frozen=True)
class Facts:
    """A family."""

    family: str
    """Its name."""
    pipelines: tuple[str, ...]
    """Pipelines of diffusers that it serves."""
    published: tuple[str, ...]
    """Published models that are known by name or settings, beside any other of its pipelines."""
    width: int | None
    """Width of its videos in pixels, by the defaults of its pipeline's call; none where each model has its own."""
    height: int | None
    """Height, likewise."""
    frames: int | None
    """Length, likewise."""
    sizes: tuple[tuple[int, int], ...]
    """Widths and heights that its published models were made for; none where each was made for one alone. A model takes, of those
    about as large as its own, the nearest to the shape of a reference."""
    fps: float | None
    """Their rate; none where each model has one of its own."""
    steps: int
    """Steps by default."""
    cfg: float
    """Guidance scale by default."""
    sampling: str
    """How it samples, beside what its published pipelines do."""
    samplers: tuple[str, ...]
    """By what else it can be sampled."""
    words: bool
    """Whether a word's attention can be read."""
    positions: bool
    """Whether it has positions that can be optimised."""
    pictures: bool
    """Whether a picture can be given."""
    adapters: str
    """Who loads adapters that were tuned on it; peft loads them into any network."""
    licence: str
    """Of the published weights, by their cards, which decide."""

    @property
    def size(self) -> str:
        """Width, height and frames in words."""
        sides = f"{self.width}x{self.height}" if self.width and self.height else "by its configuration"
        return f"{sides}, {self.frames} frames" if self.frames else sides

    @property
    def aspects(self) -> str:
        """The sizes that go by the shape of a reference, in words; of many the widest and the tallest."""
        if not self.sizes:
            return "its own alone"
        told = [f"{width}x{height}" for width, height in sorted(self.sizes, key=lambda size: size[1] / size[0])]
        return ", ".join(told) if len(told) <= MOST_TOLD else f"{len(told)}, from {told[0]} to {told[-1]}"


def served() -> list[Facts]:
    """All families, by name."""
    return [_facts(family) for _, family in sorted(families().items())]


def _facts(family: Any) -> Facts:
    is_row = isinstance(family, Row)
    pipeline = None if family.apart else getattr(diffusers, family.pipelines[0])
    variants = family.published if is_row else family.defaults
    own = family.defaults if is_row else family.defaults.get(family.family, {})
    common = Sampled()
    return Facts(
        family=family.family,
        pipelines=family.pipelines,
        published=tuple(name for name in variants if name != family.family),
        **_size(pipeline),
        sizes=_sizes(family) if is_row else (),
        fps=getattr(family, "fps", None),
        steps=own.get("steps", common.steps),
        cfg=own.get("cfg", common.cfg),
        sampling=_sampling(family),
        samplers=tuple(name for name in _samplers(family) if name != OWN),
        words=getattr(family, "finds_words", True),
        positions=is_row and type(family.placing) is not NoPositions,
        pictures=any("Image" in name for name in family.pipelines),
        adapters=_adapters(family),
        licence=family.licence,
    )


def _adapters(family: Any) -> str:
    """Who loads what was tuned, in words."""
    titles = {"comfyui": "ComfyUI"}
    return ", ".join(titles.get(reader, reader) for reader in READERS if family.readers.loading(reader))


def _size(pipeline: Any) -> dict[str, int | None]:
    """Width, height and frames by the defaults of a pipeline's call, as far as it has them."""
    parameters = {} if pipeline is None else inspect.signature(pipeline.__call__).parameters
    named = {"width": "width", "height": "height", "frames": "num_frames"}
    return {own: parameters[name].default if name in parameters else None for own, name in named.items()}


def _sizes(row: Row) -> tuple[tuple[int, int], ...]:
    """Widths and heights of a row and of its published models, but for those that are bundled."""
    known = [own.sizes for name, own in row.published.items() if name not in BUNDLED_MODELS]
    return tuple(dict.fromkeys((width, height) for own in (row.sizes, *known) for height, width in own))


def _samplers(family: Any) -> tuple[str, ...]:
    """What its schedules allow."""
    return FLOW_SAMPLERS if isinstance(family, Row) and family.diffusion is None else DIFFUSION_SAMPLERS


def _sampling(family: Any) -> str:
    """How it samples, in words."""
    if not isinstance(family, Row):
        return "DDIM of its noise"
    ours = "the levels of its scheduler, by steps of Euler" if family.diffusion is None else "DDIM of its noise"
    return ours if family.scheduler == "Euler" else f"{ours} (published: {family.scheduler})"
