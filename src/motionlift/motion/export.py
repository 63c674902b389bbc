"""Adapters written for other programs: what a tuned motion added to a model, in the names that they load.

Only what a reader is known to load is written: names that it does not know are skipped by most readers without a word.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from motionlift.errors import MotionError, SettingError
from motionlift.motion.adapter import DIFFERENCE, check_adapter, layer_of, low_rank
from motionlift.motion.file import Motion, write_tensors
from motionlift.video.marks import ADAPTER, KEY
from motionlift.video.writing import replacing

READERS = ("diffusers", "comfyui", "peft")
"""Who can read an export: ``CogVideoXPipeline.load_lora_weights``; ComfyUI's core, for CogVideoX; peft's own
``set_peft_model_state_dict``, onto any network."""
MOST_RANK = 1024
"""Greatest rank of the factors that are written (ours)."""
WHOLE_READERS = ("comfyui",)
"""Those that load differences of weights as they are."""
COGVIDEOX = re.compile(r"transformer\.transformer_blocks\.(?P<block>\d+)\.(?P<layer>.+)")
"""Layers of CogVideoX by their name in diffusers. diffusers has no loader of adapters for UNet3DConditionModel, and neither has
ComfyUI's core."""
COMFYUI_LAYERS: Mapping[str, str] = {
    "attn1.to_q": "q",
    "attn1.to_k": "k",
    "attn1.to_v": "v",
    "attn1.to_out.0": "attn_out",
    "ff.net.0.proj": "ff_proj",
    "ff.net.2": "ff_out",
}
"""The linear layers of a block, and ComfyUI's names for them (its comfy/ldm/cogvideo/model.py)."""
COMFYUI_DIFFERENCE = ".diff"
"""ComfyUI's end of the name of a difference of weights (its comfy/lora.py)."""


def check_reader(reader: str) -> None:
    """Refuse a reader that is not known.

    Raises:
        SettingError: it is none of :data:`READERS`.
    """
    if reader not in READERS:
        raise SettingError(f"the reader is {reader!r}; allowed are {', '.join(READERS)}")


def exported(motion: Motion, reader: str, rank: int | None = None) -> tuple[dict[str, Tensor], float | None]:
    """The adapter of a motion as a reader names it.

    Factors are written as peft has them, ``lora_A`` and ``lora_B``, of scale one.

    Args:
        motion: a motion that was tuned.
        reader: ``diffusers``, ``comfyui`` or ``peft``.
        rank: write differences of weights as factors of this rank.

    Returns:
        The tensors, and what the factors miss where differences were given a rank, as
        :func:`motionlift.motion.adapter.low_rank` says.

    Raises:
        MotionError: the motion was not tuned, holds what is no adapter, or the reader loads nothing into its model.
        SettingError: another reader, or a rank that is missing or not needed.
    """
    check_reader(reader)
    adapter = motion.adapter()
    if not adapter:
        raise MotionError(
            f"a motion of {motion.method} holds no adapter; lift one with a method that tunes: vmc, motionmatcher"
        )
    check_adapter({name: tuple(tensor.shape) for name, tensor in adapter.items()})
    for name, tensor in adapter.items():
        if not tensor.isfinite().all():
            raise MotionError(f"the adapter's {name[:100]!r} holds numbers that are not finite; lift it again")
    _check_model(motion, adapter, reader)
    _check_rank(adapter, reader, rank)
    missed = None
    if rank is not None:
        adapter, missed = low_rank(adapter, rank)
    return {_renamed(name, reader): tensor.contiguous() for name, tensor in adapter.items()}, missed


def _check_model(motion: Motion, adapter: Mapping[str, Tensor], reader: str) -> None:
    """Refuse layers that a reader does not load."""
    if reader == "peft":
        return
    strange = [layer for layer in map(layer_of, adapter) if not _is_known(layer)]
    if strange:
        raise MotionError(
            f"{reader} loads adapters of CogVideoX alone, and the motion's, of {motion.model}, has layers such as "
            f"{strange[0][:100]!r}; write it --for peft, which loads it into any network of diffusers"
        )


def _is_known(layer: str) -> bool:
    found = COGVIDEOX.fullmatch(layer)
    return found is not None and found["layer"] in COMFYUI_LAYERS


def _check_rank(adapter: Mapping[str, Tensor], reader: str, rank: int | None) -> None:
    differences = any(name.endswith(DIFFERENCE) for name in adapter)
    if rank is not None and (type(rank) is not int or not 1 <= rank <= MOST_RANK):
        raise SettingError(f"rank is {str(rank)[:40]}; allowed is a whole number from 1 to {MOST_RANK}")
    if rank is not None and not differences:
        raise SettingError("the adapter has factors already, and no rank to choose; leave the rank out")
    if differences and rank is None and reader not in WHOLE_READERS:
        raise SettingError(
            f"the adapter holds differences of weights, which {reader} does not load; give a rank, such as 16, to write factors"
        )


def _renamed(name: str, reader: str) -> str:
    """A tensor's name as a reader has it."""
    if reader == "diffusers":
        return name
    layer = layer_of(name)
    end = name.removeprefix(layer)
    if reader == "peft":
        return layer.partition(".")[2] + end
    found = COGVIDEOX.fullmatch(layer)
    assert found is not None
    end = COMFYUI_DIFFERENCE if end == DIFFERENCE else end
    return f"diffusion_model.blocks.{found['block']}.{COMFYUI_LAYERS[found['layer']]}{end}"


def export_adapter(motion: Motion, path: Path, reader: str, rank: int | None = None) -> float | None:
    """Write :func:`exported` to a safetensors file; returns what its factors miss.

    Raises:
        MotionliftError: as :func:`exported`; or an OutputError, where the file cannot be written.
    """
    tensors, missed = exported(motion, reader, rank)
    with replacing(path, ADAPTER) as partial:
        write_tensors(partial, tensors, {"format": "pt", KEY: ADAPTER.name})
    return missed
