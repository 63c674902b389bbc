"""Adapters of others on a base model: files that diffusers' own loaders read, made part of the weights.

They are fused and not kept beside the weights, because methods tune adapters of their own: the model is then one as any other, with
a fingerprint of its own. What a file holds counts, and not its name or place.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from motionlift.core.model import Added
from motionlift.errors import ModelError, SettingError
from motionlift.models.lora_files import BOTH, NETWORKS, LoraFile
from motionlift.motion.original import Readers


def fuse(pipeline: Any, loras: Sequence[LoraFile], name: str, readers: Readers) -> tuple[Added, ...]:
    """Make adapters part of a pipeline's weights, one after another, by diffusers' loaders.

    Args:
        pipeline: a pipeline that is ours alone.
        loras: the files, checked.
        name: what the model is called.
        readers: who loads adapters of its family.

    Returns:
        What was added.

    Raises:
        ModelError: a file that the pipeline's loader refuses, or of which it takes nothing; or none loads adapters of its family.
        SettingError: a network that the model has not, or none of two.
    """
    if loras and readers.diffusers is None:
        raise ModelError(f"diffusers loads no adapters into models of the kind of {name}; leave them out")
    added: list[Added] = []
    for lora in loras:
        before = len(added)
        for part in _parts(pipeline, lora, name):
            added += _fused(pipeline, part, lora, name)
        if len(added) == before:
            raise ModelError(
                f"diffusers loads nothing of {lora.path} into {name}: its names, such as {lora.first()[:100]!r}, are of another "
                "kind of model"
            )
    return tuple(added)


def _parts(pipeline: Any, lora: LoraFile, name: str) -> list[str]:
    """The pipeline's parts that an adapter is for."""
    there = {word: part for word, part in NETWORKS.items() if getattr(pipeline, part, None) is not None}
    if len(there) < 2:
        if lora.network is not None:
            raise SettingError(
                f"{name} has one network, and {lora.path} is given for {lora.network}: give FILE:WEIGHT alone"
            )
        return list(there.values()) or ["unet"]
    if lora.network is None:
        raise SettingError(
            f"{name} has two networks, for high and for low noise, and {lora.path} is given for none: give "
            f"FILE:{lora.weight:g}:high, FILE:{lora.weight:g}:low or FILE:{lora.weight:g}:both"
        )
    return list(there.values()) if lora.network == BOTH else [there[lora.network]]


def _fused(pipeline: Any, part: str, lora: LoraFile, name: str) -> list[Added]:
    """Load an adapter for one network, and make it part of the weights of all that it changes."""
    try:
        _load(pipeline, part, lora.path)
        changed = {
            title: layers
            for title, module in pipeline.components.items()
            if isinstance(module, nn.Module) and (layers := _changed(module))
        }
        _merge(pipeline, list(changed), lora.weight)
    except Exception as error:  # foreign files make diffusers raise errors of every kind
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(f"diffusers does not load {lora.path} into {name}: {reason}") from error
    total = sum(changed.values())
    if not total:
        return []
    digest = hashlib.sha256(lora.path.read_bytes()).hexdigest()
    return [Added(str(lora.path), digest, lora.weight, part, total, max(0, lora.layers() - total))]


def _load(pipeline: Any, part: str, path: Path) -> None:
    """As users of diffusers do."""
    given = {"weight_name": path.name, "use_safetensors": True, "local_files_only": True}
    folder = str(path.absolute().parent)
    if not hasattr(pipeline, "load_lora_weights"):  # HunyuanVideo 1.5
        getattr(pipeline, part).load_lora_adapter(folder, prefix="transformer", **given)
        return
    second = {"load_into_transformer_2": True} if part == NETWORKS["low"] else {}
    pipeline.load_lora_weights(folder, **given, **second)


def _merge(pipeline: Any, parts: Sequence[str], weight: float) -> None:
    """Make what was loaded part of the weights; refuses numbers that are not finite."""
    if not hasattr(pipeline, "load_lora_weights"):
        for part in parts:
            getattr(pipeline, part).fuse_lora(lora_scale=weight, safe_fusing=True)
            getattr(pipeline, part).unload_lora()
    elif parts:
        pipeline.fuse_lora(components=list(parts), lora_scale=weight, safe_fusing=True)
        pipeline.unload_lora_weights()


def _changed(module: nn.Module) -> int:
    """How many layers of a module an adapter changes; none where nothing was loaded into any: factors change nothing at first."""
    layers = [layer for layer in module.modules() if isinstance(layer, BaseTunerLayer)]
    return len(layers) if any(_filled(layer) for layer in layers) else 0


def _filled(layer: nn.Module) -> bool:
    """Whether a layer's factors change anything, as far as it can be seen: what has no memory yet is refused when it is fused."""
    ups = (factor.get_parameter("weight") for factor in layer.get_submodule("lora_B").children())
    return any(up.is_meta or bool(up.any()) for up in ups)
