"""What can be set of each method, a file each, in which nothing computes: a slip is told before PyTorch is imported.

The file of a method bears its name and defines ``SETTINGS``, which the method's own file takes. A method that has none here is
asked itself, once all is imported.
"""

import importlib
import pkgutil
from pathlib import Path

from motionlift.core.meant import meant
from motionlift.core.method_settings import Sampled
from motionlift.errors import SettingError

METHODS = Path(__file__).resolve().parents[1] / "methods"
"""Folder of the methods, whose files are read here and not imported."""


def known() -> tuple[str, ...]:
    """Names of the methods whose settings are here."""
    return tuple(found.name for found in pkgutil.iter_modules(__path__))


def settings_of(method: str) -> type[Sampled] | None:
    """The settings of a method; none where it keeps them in its own file.

    Raises:
        SettingError: there is no such method.
    """
    if method in known():
        return importlib.import_module(f"{__name__}.{method}").SETTINGS
    if in_one_file():
        return None
    raise unknown_method(method, known())


def unknown_method(name: str, names: tuple[str, ...]) -> SettingError:
    """What is said of a method that there is not."""
    return SettingError(f"unknown method {name[:40]!r}{meant(name, names)}; allowed are {', '.join(sorted(names))}")


def in_one_file() -> list[str]:
    """Names of files of methods that keep their settings themselves."""
    modules = [found.name for found in pkgutil.iter_modules([str(METHODS)]) if found.name not in known()]
    return [name for name in modules if "\nMETHOD = " in (METHODS / f"{name}.py").read_text(encoding="utf-8")]
