"""Models without weights: every part has its true sizes and types, on PyTorch's meta device, and tokenizers are real.

Nothing of the weights is read, so that configuration files are enough. What such a model makes has sizes and no values; hold
:func:`motionlift.models.counting.counting` around whatever makes or runs it.
"""

import copy
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motionlift.core.model import Model
from motionlift.errors import ModelError
from motionlift.models.counting import META
from motionlift.models.families import serving
from motionlift.models.loading import check_parts, precision
from motionlift.models.offloading import copied_plainly
from motionlift.models.parts import LIBRARIES, Parts
from motionlift.models.precision import AUTO, chosen
from motionlift.models.quantized import is_quantized, plain_like, within
from motionlift.models.quiet import quiet
from motionlift.models.shared import PipelineModel
from motionlift.models.sources import BUNDLED, Source, joined_sources
from motionlift.models.stored import made_anew
from motionlift.models.words import read_plainly

Kinds = torch.dtype | Mapping[str, torch.dtype]


@quiet()
def blank(name: str, kind: str, dtype: str = AUTO) -> Model:
    """A model by its name, without its weights.

    Args:
        name: as :func:`motionlift.models.loading.load` takes it.
        kind: of device that it is to stand for, ``cpu``, ``cuda`` or ``mps``, which need not be here.
        dtype: what it computes with, as :func:`motionlift.models.loading.load` takes it.

    Raises:
        ModelError: as :func:`motionlift.models.loading.load`.
        SettingError: the type breaks the model, or the device lacks it.
    """
    source, adapter = joined_sources(name)
    family = serving("AnimateDiffPipeline" if adapter else source.pipeline)
    types = precision(_type_on(kind, dtype, source, family), family)
    try:
        pipeline = _animated(source, adapter, types) if adapter else _pipeline(source, types, family)
    except ModelError:
        raise
    except Exception as error:  # damaged files make the libraries raise errors of every kind
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"model {source.name!r} is incomplete or damaged: {reason}") from error
    check_parts(family, pipeline, source.name)
    if Path(source.place).resolve().parent == BUNDLED:
        read_plainly(pipeline.tokenizer)
    model = family(pipeline, name, META)
    own = {title: part for title, part in pipeline.components.items() if isinstance(part, nn.Module)}
    model.anew = None if adapter else made_anew(source, own)
    return model


def is_here(kind: str) -> bool:
    """Whether a GPU of a kind that models run on is here; what is no such GPU is."""
    return {"cuda": torch.cuda, "mps": torch.backends.mps}[kind].is_available() if kind in ("cuda", "mps") else True


def _type_on(kind: str, dtype: str, source: Source, family: Any) -> torch.dtype:
    """What a model computes with; on a GPU that is not here, as on one that lacks nothing."""
    place = torch.device(kind if is_here(kind) else "meta")
    return chosen(dtype, place, source.name, family.breaking(source))


def _pipeline(source: Source, types: Kinds, family: Any) -> Any:
    """A pipeline of parts without weights."""
    import diffusers

    named = {name: own for name, own in source.index.items() if isinstance(own, list) and own[:1] != [None]}
    parts = {name: _part(source, name, *own, _type(types, name)) for name, own in named.items()}
    if family.apart:
        return Parts({name: parts[name] for name in (*family.parts, "scheduler")}, {"_class_name": source.pipeline})
    kind = getattr(diffusers, source.pipeline)
    settings, _, _ = kind.extract_init_dict(source.index)
    others = {name: value for name, value in settings.items() if name not in named and not _is_absent(value)}
    lacking = {name: None for name in kind._optional_components if name not in parts and name not in others}
    return kind(**parts, **others, **lacking)


def _is_absent(value: object) -> bool:
    """Whether an index says that a part is not there."""
    return isinstance(value, list | tuple) and list(value) == [None, None]


def _type(types: Kinds, name: str) -> torch.dtype:
    return types if isinstance(types, torch.dtype) else types.get(name, types["default"])


def _part(source: Source, name: str, library: str, title: str, kind: torch.dtype) -> Any:
    """A part of a pipeline by its index: as it is where it has no weights.

    Raises:
        ModelError: the index names a part of another library.
    """
    made = _class(name, library, title)
    place = {"subfolder": name, "local_files_only": source.is_local}
    if not issubclass(made, nn.Module):
        return made.from_pretrained(source.place, **place)
    return emptied(made, source.place, kind, **place)


def _class(name: str, library: str, title: str) -> Any:
    import diffusers

    home = importlib.import_module(library) if library in LIBRARIES else getattr(diffusers.pipelines, library, None)
    found = None if home is None else getattr(home, title, None)
    if found is None:
        raise ModelError(
            f"its index names {library}.{title} for the {name}; allowed are classes of {', '.join(LIBRARIES)}"
        )
    return found


def emptied(made: Any, place: str, kind: torch.dtype, **where: Any) -> nn.Module:
    """A part of a class of diffusers or transformers, by its configuration alone."""
    with META:
        if hasattr(made, "load_config"):
            part = made.from_config(made.load_config(place, **where))
        else:
            part = made(made.config_class.from_pretrained(place, **where))
    nn.Module.to(part, kind)
    kept = getattr(part, "_keep_in_fp32_modules_strict", None) or (
        getattr(part, "_keep_in_fp32_modules", None) if hasattr(made, "load_config") else None
    )
    for title, weight in part.named_parameters() if kept else ():
        if any(own in title.split(".") for own in kept or ()):
            weight.data = weight.data.float()
    return part.eval()


def _animated(source: Source, adapter: str, types: Kinds) -> Any:
    """A picture model with a motion adapter."""
    import diffusers

    named = {name: own for name, own in source.index.items() if isinstance(own, list) and own[:1] != [None]}
    parts = {name: _part(source, name, *own, _type(types, name)) for name, own in named.items()}
    motion = emptied(diffusers.MotionAdapter, adapter, _type(types, "motion_adapter"))
    kept = {name: part for name, part in parts.items() if name not in ("safety_checker", "requires_safety_checker")}
    with META:
        pipeline = diffusers.AnimateDiffPipeline(**kept, motion_adapter=motion)
    pipeline.scheduler = diffusers.DDIMScheduler.from_config(
        pipeline.scheduler.config,
        clip_sample=False,
        timestep_spacing="linspace",
        beta_schedule="linear",
        steps_offset=1,
    )
    return pipeline


def blank_of(model: PipelineModel) -> PipelineModel:
    """A model like one that is loaded, without its weights."""
    return model.like(emptied_pipeline, META)


def emptied_pipeline(pipeline: Any) -> Any:
    """A pipeline like one that is loaded, or its parts, without weights."""
    twin = copy.copy(pipeline)
    twin.__dict__ = dict(vars(pipeline))
    parts = {
        name: _without_values(part) if isinstance(part, nn.Module) else part
        for name, part in pipeline.components.items()
    }
    for name, part in parts.items():
        setattr(twin, name, part)
    if isinstance(twin, Parts):
        twin.components = parts
    return twin


def _without_values(part: nn.Module) -> nn.Module:
    """A module like another, whose tensors have no values."""
    held = [*part.parameters(), *part.buffers()]
    memo: dict[int, Any] = {}
    for module in part.modules():
        held += [value for value in vars(module).values() if isinstance(value, Tensor)]
        plain = plain_like(module) if is_quantized(part) else None
        if plain is not None:
            memo[id(module)] = plain
    for tensor in (own for own in held if next(within(own)) is own):  # those of quantizers go with their layers
        empty = torch.empty_like(tensor, device=META)
        is_weight = isinstance(tensor, nn.Parameter)
        memo[id(tensor)] = nn.Parameter(empty, requires_grad=tensor.requires_grad) if is_weight else empty
    twin = copied_plainly(part, memo)
    if is_quantized(part):  # its layers are plain ones now
        twin.hf_quantizer = None
    return twin
