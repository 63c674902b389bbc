"""Model families, one file each.

A file joins by defining ``BACKBONE``: a class with ``family``, ``pipelines`` (names of the diffusers pipelines it serves) and
``__init__(pipeline, name, device)``, that follows :class:`motionlift.core.model.Backbone`.
"""

import importlib
import pkgutil
from typing import Any

from motionlift.errors import ModelError


def families() -> dict[str, Any]:
    """Every backbone class by its family's name."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return {module.BACKBONE.family: module.BACKBONE for module in modules}


def serving(pipeline: str) -> Any:
    """The backbone class for a diffusers pipeline, by the pipeline's class name.

    Raises:
        ModelError: none serves it.
    """
    for backbone in families().values():
        if pipeline in backbone.pipelines:
            return backbone
    allowed = sorted(name for backbone in families().values() for name in backbone.pipelines)
    raise ModelError(f"no backbone serves {pipeline}; allowed are models of {', '.join(allowed)}")
