"""What a shell may complete: names of models, methods, presets, settings and their values, edits, readers and runs."""

from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from typing import Any

import typer

from motionlift.cli import early
from motionlift.errors import MotionliftError


def models(incomplete: str) -> list[str]:
    """Bundled models."""
    from motionlift.models.sources import BUNDLED_MODELS

    return _beginning(BUNDLED_MODELS, incomplete)


def methods(incomplete: str) -> list[str]:
    """Methods."""
    return _beginning(sorted(early.every_settings()), incomplete)


def readers(incomplete: str) -> list[str]:
    """Programs for which adapters are written."""
    from motionlift.motion.readers import READERS

    return _beginning(READERS, incomplete)


def runs(incomplete: str) -> list[str]:
    """Bundled run files."""
    from motionlift.bench.bundled import bundled_runs

    return _beginning(bundled_runs(), incomplete)


def presets(incomplete: str) -> list[str]:
    """Presets."""
    from motionlift.core.presets import PRESETS

    return _beginning(PRESETS, incomplete)


def edits(incomplete: str) -> list[str]:
    """Edits of a motion, those that take amounts with their equals sign."""
    from motionlift.core.edit_names import EDITS

    return _beginning([name + ("=" if own.amounts else "") for name, own in EDITS.items()], incomplete)


def settings(context: typer.Context, incomplete: str) -> list[str]:
    """Settings of the method that was typed, or of the default one, each with its equals sign; behind it, its values."""
    name, equals, _ = incomplete.partition("=")
    if equals:
        return _beginning([f"{name}={value}" for value in _values(context, name)], incomplete)
    return _beginning([f"{field.name}=" for field in _fields(context)], incomplete)


def values_of(setting: str) -> Callable[[typer.Context, str], list[str]]:
    """What completes the values of a setting of the method that was typed, or of the default one."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        return _beginning(_values(context, setting), incomplete)

    return complete


def _values(context: typer.Context, setting: str) -> list[str]:
    """The values of a setting, where they can be listed."""
    own = next((field for field in _fields(context) if field.name == setting), None)
    if own is None:
        return []
    return ["true", "false"] if isinstance(own.default, bool) else [*map(str, own.metadata.get("choices") or ())]


def _fields(context: typer.Context) -> "Sequence[Field[Any]]":
    try:
        return fields(early.settings_of(context.params.get("method") or "ditflow"))
    except MotionliftError:
        return ()


def _beginning(names: Sequence[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
