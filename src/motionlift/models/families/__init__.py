"""Model families, one file each.

A file joins by defining ``MODEL``: a :class:`motionlift.models.transformer.Row`, or a subclass of
:class:`motionlift.models.shared.PipelineModel`. Either gives a :class:`motionlift.core.model.Model` when it is called with a
pipeline, a name and a device.
"""

import importlib
import pkgutil
from typing import Any

from motionlift.errors import ModelError
from motionlift.models.unserved import reason


def families() -> dict[str, Any]:
    """Every family by its name."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return {module.MODEL.family: module.MODEL for module in modules}


def serving(pipeline: str) -> Any:
    """The family that serves a pipeline of diffusers, by the class name of the pipeline.

    Raises:
        ModelError: none serves it.
    """
    for family in families().values():
        if pipeline in family.pipelines:
            return family
    allowed = sorted(name for family in families().values() for name in family.pipelines)
    why = reason(pipeline)
    told = pipeline if why is None else f"{pipeline}: {why}"
    raise ModelError(f"no model family serves {told}; allowed are models of {', '.join(allowed)}")
