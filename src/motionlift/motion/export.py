"""Adapters written for other programs: what a tuned motion added to a model, in the names that they load.

Only what a reader is known to load is written: names that it does not know are skipped by most readers without a word.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from motionlift.core.tensors import Tensors
from motionlift.errors import MotionError, SettingError
from motionlift.motion.adapter import DIFFERENCE, DOWN, UP, check_adapter, layer_of, low_rank, with_end
from motionlift.motion.file import Motion, write_tensors
from motionlift.motion.original import Blocks, Readers
from motionlift.motion.readers import READERS, check_reader
from motionlift.video.marks import ADAPTER, KEY
from motionlift.video.writing import replacing

MOST_RANK = 1024
"""Greatest rank of the factors that are written (ours)."""
WHOLE_READERS = ("comfyui",)
"""Those that load differences of weights as they are."""
COMFYUI = "diffusion_model."
"""What ComfyUI's loader wants before a layer's name."""
KOHYA, KOHYA_DOWN, KOHYA_UP, KOHYA_ALPHA = "lora_unet_", ".lora_down.weight", ".lora_up.weight", ".alpha"
"""What kohya's loader wants before a layer's name and behind it; the last, over the rank, is what factors are multiplied by."""
COMFYUI_DIFFERENCE = ".diff"
"""ComfyUI's end of the name of a difference of weights (its comfy/lora.py)."""
NOISE = ("_high_noise", "_low_noise")
"""Ends of the files' names where a model has two networks, as users of Wan 2.2 know them: in the order of the networks."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    paths: tuple[Path, ...]
    """The files: one for each network."""
    missed: float | None
    """What the factors miss where differences were given a rank, as :func:`motionlift.motion.adapter.low_rank` says."""


def exported(
    motion: Motion, reader: str, readers: Readers, rank: int | None = None
) -> tuple[dict[str, dict[str, Tensor]], float | None]:
    """The adapter of a motion as a reader names it.

    Factors are written as peft has them, ``lora_A`` and ``lora_B``, or as kohya's programs do, of scale one.

    Args:
        motion: a motion that was tuned.
        reader: one of :data:`motionlift.motion.readers.READERS`.
        readers: who loads adapters of the model's family.
        rank: write differences of weights as factors of this rank.

    Returns:
        The tensors for each part of the pipeline that was changed, and what the factors miss, as :class:`Exported` says it.

    Raises:
        MotionError: the motion was not tuned, holds what is no adapter, or the reader loads nothing into its model.
        SettingError: another reader, or a rank that is missing or not needed.
    """
    check_reader(reader)
    adapter = motion.adapter()
    if not adapter:
        raise MotionError(
            f"a motion of {motion.method} holds no adapter; lift one with a method that tunes, such as vmc"
        )
    check_adapter({name: tuple(tensor.shape) for name, tensor in adapter.items()})
    for name, tensor in adapter.items():
        if not tensor.isfinite().all():
            raise MotionError(f"the adapter's {name[:100]!r} holds numbers that are not finite; lift it again")
    if reader != "peft":
        _check_layers(motion, adapter, reader, readers)
    _check_rank(adapter, reader, rank)
    missed = None
    if rank is not None:
        adapter, missed = low_rank(adapter, rank)
    parts = {part: _within(adapter, part) for part in _parts(adapter)}
    changed = [part for part, own in parts.items() if _changes(own)] or list(parts)
    return {part: _named(parts[part], reader, readers) for part in changed}, missed


def _parts(adapter: Tensors) -> list[str]:
    """The pipeline's parts that an adapter is for: the network for high noise before that for low noise."""
    return sorted({name.partition(".")[0] for name in adapter})


def _changes(adapter: Tensors) -> bool:
    """Whether an adapter changes anything: one of two networks may never have been tuned."""
    return any(bool(own.any()) for name, own in adapter.items() if not name.endswith(DOWN))


def _within(adapter: Tensors, part: str) -> dict[str, Tensor]:
    """The tensors of one part of the pipeline, without its name."""
    return {name.removeprefix(f"{part}."): own for name, own in adapter.items() if name.startswith(f"{part}.")}


def _named(adapter: Tensors, reader: str, readers: Readers) -> dict[str, Tensor]:
    """The tensors of one network as a reader names them."""
    if reader == "comfyui":
        named = _original(adapter, readers.comfyui)
        return {COMFYUI + name.replace(DIFFERENCE, COMFYUI_DIFFERENCE): own.contiguous() for name, own in named.items()}
    if reader == "kohya":
        return _kohya(_original(adapter, readers.kohya))
    start = f"{readers.diffusers}." if reader == "diffusers" else ""
    return {start + name: own.contiguous() for name, own in adapter.items()}


def _kohya(adapter: Tensors) -> dict[str, Tensor]:
    """Factors by their original names as kohya's programs name them, with a scale of one."""
    named: dict[str, Tensor] = {}
    for layer, down in with_end(adapter, DOWN).items():
        start = KOHYA + layer.replace(".", "_")
        named[start + KOHYA_DOWN], named[start + KOHYA_UP] = down.contiguous(), adapter[layer + UP].contiguous()
        named[start + KOHYA_ALPHA] = torch.tensor(float(len(down)))
    return named


def _check_layers(motion: Motion, adapter: Tensors, reader: str, readers: Readers) -> None:
    """Refuse layers that a reader does not load."""
    if not readers.loading(reader):
        others = [f"--for {other}" for other in READERS if other != "peft" and readers.loading(other)]
        others = "".join(f"{other}, or " for other in others) + "--for peft"
        raise MotionError(
            f"{reader} loads no adapters of {motion.model}; write it {others}, which loads it into any network of diffusers"
        )
    blocks = readers.kohya if reader == "kohya" else readers.comfyui
    if not blocks:
        return
    known = {(own.own, layer) for own in blocks for parts in own.layers.values() for layer in parts}
    for layer in map(layer_of, adapter):
        words = layer.split(".", 3)
        if len(words) < 4 or not words[2].isdecimal() or (words[1], words[3]) not in known:
            raise MotionError(
                f"{reader} is not known to load the layer {layer[:100]!r} of {motion.model}; write it --for peft, which loads it "
                "into any network of diffusers"
            )


def _check_rank(adapter: Tensors, reader: str, rank: int | None) -> None:
    differences = any(name.endswith(DIFFERENCE) for name in adapter)
    if rank is not None and (type(rank) is not int or not 1 <= rank <= MOST_RANK):
        raise SettingError(f"rank is {str(rank)[:40]}; allowed is a whole number from 1 to {MOST_RANK}")
    if rank is not None and not differences:
        raise SettingError("the adapter has factors already, and no rank to choose; leave the rank out")
    if differences and rank is None and reader not in WHOLE_READERS:
        raise SettingError(
            f"the adapter holds differences of weights, which {reader} does not load; give a rank, such as 16, to write factors"
        )


def _original(adapter: Tensors, blocks: Sequence[Blocks]) -> dict[str, Tensor]:
    """The tensors of one network by their original names; what is one layer originally is put together."""
    found: dict[str, Tensor] = {}
    for own in blocks:
        numbers = {name.split(".")[1] for name in adapter if name.startswith(f"{own.own}.")}
        for number in sorted(numbers, key=int):
            for original, parts in own.layers.items():
                rows = {part: _ends(adapter, f"{own.own}.{number}.{part}") for part in parts}
                for end, tensor in _joined(rows, own.wider).items():
                    swaps = original in own.swapped and end != DOWN
                    tensor = torch.cat(tensor.chunk(2)[::-1]) if swaps else tensor
                    found[f"{own.original}.{number}.{original}{end}"] = tensor
    return found


def _ends(adapter: Tensors, layer: str) -> dict[str, Tensor]:
    """The tensors of a layer by the ends of their names."""
    return {end: adapter[layer + end] for end in (DOWN, UP, DIFFERENCE) if layer + end in adapter}


def _joined(parts: Mapping[str, Mapping[str, Tensor]], wider: Mapping[str, int]) -> dict[str, Tensor]:
    """Tensors of layers as those of one layer that holds their rows; rows of those that were not tuned are not changed.

    Factors of several layers become factors of the sum of their ranks: each layer's rows take what its own factors give.
    """
    tuned = [own for own in parts.values() if own]
    if not tuned or len(parts) == 1:
        return dict(tuned[0]) if tuned else {}
    first = tuned[0]
    columns = first[DIFFERENCE if DIFFERENCE in first else DOWN].shape[1]
    rows = {part: _rows(own, wider.get(part), tuned, columns) for part, own in parts.items()}
    if DIFFERENCE in first:
        blank = {part: first[DIFFERENCE].new_zeros(rows[part], columns) for part in parts}
        return {DIFFERENCE: torch.cat([own.get(DIFFERENCE, blank[part]) for part, own in parts.items()])}
    ups = [own[UP] if own else first[UP].new_zeros(rows[part], 0) for part, own in parts.items()]
    return {DOWN: torch.cat([own[DOWN] for own in tuned]), UP: torch.block_diag(*ups)}


def _rows(own: Mapping[str, Tensor], wider: int | None, tuned: Sequence[Mapping[str, Tensor]], columns: int) -> int:
    """Rows of a layer, whether it was tuned or not."""
    if own:
        return len(own[DIFFERENCE if DIFFERENCE in own else UP])
    return wider * columns if wider else len(tuned[0][DIFFERENCE if DIFFERENCE in tuned[0] else UP])


def write_adapter(
    motion: Motion, path: Path, reader: str, readers: Readers, rank: int | None = None, overwrite: bool = True
) -> Exported:
    """Write :func:`exported` to a safetensors file; of two networks to one for each, named by the noise that it serves.

    Raises:
        MotionliftError: as :func:`exported`; or an OutputError, where a file cannot be written.
    """
    written, missed = exported(motion, reader, readers, rank)
    parts = _parts(motion.adapter())
    ends = dict(zip(parts, NOISE if len(parts) > 1 else ("",), strict=True))
    about = {"model": motion.model, "family": motion.family, "method": motion.method}
    places = {part: path.with_stem(path.stem + ends[part]) for part in written}
    with ExitStack() as stack:
        partial = {part: stack.enter_context(replacing(place, ADAPTER, overwrite)) for part, place in places.items()}
        for part, tensors in written.items():
            write_tensors(partial[part], tensors, {"format": "pt", KEY: ADAPTER.name, **about})
    return Exported(tuple(places.values()), missed)
