"""Words that all nodes share: the types of their links, their place in the menu, and how a widget is described."""

from typing import Any

CATEGORY = "motionlift"
"""Where the nodes stand in the menu."""
MODEL, MOTION, SETTINGS = "MOTIONLIFT_MODEL", "MOTIONLIFT_MOTION", "MOTIONLIFT_SETTINGS"
"""Types of links that ComfyUI's own nodes do not have."""

Input = tuple[Any, dict[str, Any]]
"""An input as ComfyUI takes it: a type, or a list of choices, and what goes with it."""
Inputs = dict[str, dict[str, Input]]
"""Inputs by name, ``required`` and ``optional`` apart."""


def described(kind: str | list[str], tooltip: str, **more: Any) -> Input:
    """An input with what is shown where the pointer rests on it.

    Args:
        kind: a type, or the choices of a list.
        tooltip: one or two sentences.
        more: what else ComfyUI knows of inputs, such as ``default``, ``min`` and ``max``.
    """
    return kind, {"tooltip": tooltip, **more}
