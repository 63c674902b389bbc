"""What goes together: which method runs on which model, and why the others do not."""

from collections.abc import Mapping
from typing import Any

from motionlift.core.model import Model
from motionlift.errors import SettingError
from motionlift.methods import methods
from motionlift.models.loading import load
from motionlift.models.sources import BUNDLED_MODELS
from motionlift.work.prepare import settings_for

VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "ditflow, read by optical flow": ("ditflow", {"read": "flow"}),
    "ditflow, on positions": ("ditflow", {"target": "positions"}),
    "ditflow, on saved positions": ("ditflow", {"target": "saved"}),
}
"""Ways to run a method beside its defaults that ask something else of a model."""


def matrix() -> dict[str, dict[str, str]]:
    """For every way to run a method, and every bundled model: ``yes``, or why not."""
    ways: dict[str, tuple[str, Mapping[str, Any]]] = {**{name: (name, {}) for name in methods()}, **VARIANTS}
    models = {f"{model.about.family} ({model.about.name})": model for model in map(load, BUNDLED_MODELS)}
    return {
        way: {title: _whether(name, settings, model) for title, model in models.items()}
        for way, (name, settings) in ways.items()
    }


def _whether(name: str, settings: Mapping[str, Any], model: Model) -> str:
    reason = why_not(name, settings, model)
    return f"no: {reason}" if reason else "yes"


def why_not(name: str, settings: Mapping[str, Any], model: Model) -> str:
    """Why a method with some settings does not run on a model; empty where it does.

    Raises:
        SettingError: there is no such method.
    """
    try:
        settings_for(methods()[name], model, settings)
    except SettingError as error:
        return str(error)
    return ""
