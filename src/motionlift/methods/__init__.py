"""Methods, one file each.

A file joins by defining ``METHOD``: an object that follows :class:`motionlift.core.method.Method`.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING

from motionlift.settings import unknown_method

if TYPE_CHECKING:  # what reduces a caption is read before PyTorch
    from motionlift.core.method import Method


def methods() -> "dict[str, Method]":
    """Every method by its name."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return {module.METHOD.name: module.METHOD for module in modules if hasattr(module, "METHOD")}


def method(name: str) -> "Method":
    """The method of a name.

    Raises:
        SettingError: there is none.
    """
    known = methods()
    if name not in known:
        raise unknown_method(name, tuple(known))
    return known[name]
