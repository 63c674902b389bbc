"""Adapters written for other programs: what a tuned motion added to a model, in the names that they load."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from motionlift.errors import MotionError, SettingError
from motionlift.motion.adapter import DIFFERENCE, low_rank
from motionlift.motion.file import SUFFIX, Motion, write_tensors
from motionlift.video.writing import replacing

READERS: Mapping[str, str] = {"diffusers": "", "comfyui": "diffusion_model"}
"""Who can read an export, and the word that it expects for the network; diffusers expects that of the pipeline's part."""
COMFY_DIFFERENCE = ".diff"
"""ComfyUI's end of the name of a difference of weights."""


def check_reader(reader: str) -> None:
    """Refuse a reader that is not known.

    Raises:
        SettingError: it is none of :data:`READERS`.
    """
    if reader not in READERS:
        raise SettingError(f"the reader is {reader!r}; allowed are {', '.join(READERS)}")


def exported(motion: Motion, reader: str, rank: int | None = None) -> tuple[dict[str, Tensor], float | None]:
    """The adapter of a motion as a reader names it.

    Factors are written as peft has them, ``lora_A`` and ``lora_B``, of scale one. Layers keep the names that they have in
    diffusers' network.

    Args:
        motion: a motion that was tuned.
        reader: ``diffusers`` or ``comfyui``.
        rank: write differences of weights as factors of this rank.

    Returns:
        The tensors, and what the factors miss where differences were given a rank, as :func:`motionlift.motion.adapter.low_rank` says.

    Raises:
        MotionError: the motion was not tuned.
        SettingError: another reader, or a rank that is missing or not needed.
    """
    check_reader(reader)
    adapter = motion.adapter()
    if not adapter:
        raise MotionError(
            f"a motion of {motion.method} holds no adapter; lift one with a method that tunes: vmc, motionmatcher"
        )
    differences = any(name.endswith(DIFFERENCE) for name in adapter)
    if rank is not None and not differences:
        raise SettingError("the adapter has factors already, and no rank to choose; leave the rank out")
    if differences and rank is None and reader == "diffusers":
        raise SettingError(
            "the adapter holds differences of weights, which diffusers does not load; give a rank, such as 16, to write factors"
        )
    missed = None
    if rank is not None:
        adapter, missed = low_rank(adapter, rank)
    return {_renamed(name, READERS[reader]): tensor.contiguous() for name, tensor in adapter.items()}, missed


def _renamed(name: str, network: str) -> str:
    """A tensor's name with another word for the network; without one, as it is."""
    if not network:
        return name
    rest = name.partition(".")[2]
    if rest.endswith(DIFFERENCE):
        rest = rest.removesuffix(DIFFERENCE) + COMFY_DIFFERENCE
    return f"{network}.{rest}"


def export_adapter(motion: Motion, path: Path, reader: str, rank: int | None = None) -> float | None:
    """Write :func:`exported` to a safetensors file; returns what its factors miss.

    Raises:
        MotionliftError: as :func:`exported`; or an OutputError, where the file cannot be written.
    """
    tensors, missed = exported(motion, reader, rank)
    with replacing(path, (SUFFIX,)) as partial:
        write_tensors(partial, tensors, {"format": "pt"})
    return missed
