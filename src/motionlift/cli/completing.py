"""What a shell may complete: names of models, methods, presets, settings and edits."""

from dataclasses import fields

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


def presets(incomplete: str) -> list[str]:
    """Presets."""
    from motionlift.core.presets import PRESETS

    return _beginning(PRESETS, incomplete)


def edits(incomplete: str) -> list[str]:
    """Edits of a motion, those that take amounts with their equals sign."""
    from motionlift.core.edit_names import EDITS

    return _beginning([name + ("=" if own.amounts else "") for name, own in EDITS.items()], incomplete)


def settings(context: typer.Context, incomplete: str) -> list[str]:
    """Settings of the method that was typed, or of the default one, each with its equals sign."""
    try:
        kind = early.settings_of(context.params.get("method") or "ditflow")
    except MotionliftError:
        return []
    return _beginning([f"{field.name}=" for field in fields(kind)], incomplete)


def _beginning(names: "list[str] | tuple[str, ...]", incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
