"""What can be set of each method, a file each, in which nothing computes: a slip is told before PyTorch is imported.

The file of a method bears its name and defines ``SETTINGS``, which the method's own file takes. A method that has none here is
asked itself, once all is imported.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from motionlift.core.meant import meant
from motionlift.core.method_settings import Sampled
from motionlift.core.settings import with_values
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


Settings = TypeVar("Settings", bound=Sampled)


def with_meant_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """What :func:`motionlift.core.settings.with_values` gives, with what may have been meant in its refusal of a choice.

    Raises:
        SettingError: as there.
    """
    check_choices(type(settings), values)
    return with_values(settings, values)


def check_choices(settings: type, values: Mapping[str, Any], called: Mapping[str, str] | None = None) -> None:
    """Refuse values that are spelt like one of the choices of a setting, and say which; others are refused where they are read.

    Args:
        settings: the class.
        values: by the names of the settings.
        called: what settings are called in messages, where that is not their name.

    Raises:
        SettingError: so it is.
    """
    choices = {field.name: tuple(map(str, field.metadata.get("choices", ()))) for field in fields(settings)}
    for name, value in values.items():
        allowed = choices.get(name, ())
        near = meant(value, allowed) if isinstance(value, str) and value not in allowed else ""
        if near:
            own = (called or {}).get(name, name)
            raise SettingError(f"{own} is {value[:40]!r}{near}; allowed is {' or '.join(allowed)}")


def unknown_method(name: str, names: tuple[str, ...]) -> SettingError:
    """What is said of a method that there is not."""
    return SettingError(f"unknown method {name[:40]!r}{meant(name, names)}; allowed are {', '.join(sorted(names))}")


def in_one_file() -> list[str]:
    """Names of files of methods that keep their settings themselves."""
    modules = [found.name for found in pkgutil.iter_modules([str(METHODS)]) if found.name not in known()]
    return [name for name in modules if "\nMETHOD = " in (METHODS / f"{name}.py").read_text(encoding="utf-8")]
