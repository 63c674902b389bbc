"""In which types the files of a model hold its weights, by their headers alone.

Weights that compute in the type of their file stay there: the system maps the file into memory, and drops pages of it where the
memory is needed. Others are made anew as they are read.
"""

from collections import Counter
from math import prod
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from motionlift.models.sources import Source, kept_folder

TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""Types as safetensors call them."""


def stored_type(folder: Path) -> torch.dtype | None:
    """The type of most of a part's weights, by the first of its files; None where there is none that can be read.

    Args:
        folder: of the part.
    """
    files = sorted(folder.glob("*.safetensors"), key=lambda file: (len(file.suffixes), file.name))  # marked ones last
    count: Counter[str] = Counter()
    try:
        with safe_open(files[0], "pt") as file:
            for name in file.keys():  # it is no mapping
                weight = file.get_slice(name)
                count[weight.get_dtype()] += prod(weight.get_shape())
    except (IndexError, OSError, SafetensorError):
        return None
    return TYPES.get(count.most_common(1)[0][0]) if count else None


def made_anew(source: Source, parts: dict[str, nn.Module]) -> int | None:
    """Bytes of the weights of parts that are made anew as they are read; None where the files of one are not here.

    Args:
        source: where they are read from.
        parts: by name, in the types in which they compute, with values or without.
    """
    folder, total = kept_folder(source), 0
    for name, part in parts.items():
        stored = None if folder is None else stored_type(folder / name)
        if stored is None:
            return None
        total += sum(weight.nbytes for weight in part.parameters() if weight.dtype is not stored)
    return total
