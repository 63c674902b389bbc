"""A pipeline's parts without its class, for pipelines whose class diffusers has given up."""

import importlib
from collections.abc import Mapping
from typing import Any

import torch

from motionlift.errors import ModelError
from motionlift.models.sources import Source

LIBRARIES = ("diffusers", "transformers")
"""Libraries whose classes an index may name."""


class Parts:
    """The parts of a pipeline by their names, as attributes and in :attr:`components`."""

    def __init__(self, components: Mapping[str, Any], config: Mapping[str, Any] | None = None):
        """Take parts together.

        Args:
            components: parts by name.
            config: what the pipeline's index says beside them.
        """
        self.components = dict(components)
        self.config = dict(config or {})
        for name, part in self.components.items():
            setattr(self, name, part)


def read_parts(
    source: Source,
    names: Mapping[str, Any],
    kind: torch.dtype,
    variant: str | None,
    only: Mapping[str, Mapping[str, Any]] | None = None,
) -> Parts:
    """Read parts one by one: safetensors only.

    Args:
        source: where they are.
        names: of the parts.
        kind: the numbers' type.
        variant: mark of files in half precision, where there are no others.
        only: what the reading of single parts is told, by their names.

    Raises:
        ModelError: the index names a part of another library.
    """
    found = {}
    for name in (*names, "scheduler"):
        library, cls = source.index[name]
        if library not in LIBRARIES or not isinstance(cls, str):
            raise ModelError(
                f"its index names {library}.{cls} for the {name}; allowed are classes of {', '.join(LIBRARIES)}"
            )
        reader = getattr(importlib.import_module(library), cls)
        weights = {"use_safetensors": True, "variant": variant, "dtype": kind}
        more = {**weights, **(only or {}).get(name, {})} if issubclass(reader, torch.nn.Module) else {}
        found[name] = reader.from_pretrained(source.place, subfolder=name, local_files_only=source.is_local, **more)
    return Parts(found, {"_class_name": source.pipeline})
