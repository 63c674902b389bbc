"""Model families, one file each.

A file joins by defining ``MODEL``: a class with ``family``, ``pipelines`` (names of the diffusers pipelines it serves) and
``__init__(pipeline, name, device, given)``, that follows :class:`motionlift.core.model.Model`.
"""

import importlib
import pkgutil
from typing import Any

from motionlift.errors import ModelError


def families() -> dict[str, Any]:
    """Every model class by its family's name."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return {module.MODEL.family: module.MODEL for module in modules}


def serving(pipeline: str) -> Any:
    """The model class for a diffusers pipeline, by the pipeline's class name.

    Raises:
        ModelError: none serves it.
    """
    for family in families().values():
        if pipeline in family.pipelines:
            return family
    allowed = sorted(name for family in families().values() for name in family.pipelines)
    raise ModelError(f"no model family serves {pipeline}; allowed are models of {', '.join(allowed)}")
