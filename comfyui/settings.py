"""Nodes for the settings of the methods, one for each method, made from the settings themselves."""

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from motionlift.core.settings import described as in_words
from motionlift.errors import SettingError
from motionlift.methods import methods

from .words import CATEGORY, SETTINGS, Input, Inputs, described

OWN = "default"
"""The choice that leaves a setting to the model."""
UNSET = -1
"""The number that does: no number of a widget may be less than nothing."""
ELSEWHERE = ("negative_prompt",)
"""Settings that have a widget of their own, in the node that casts."""
MOST = {int: 2**31 - 1, float: 1e6}
"""Greatest number of a widget where the setting has no bound (ours)."""


@dataclass(frozen=True)
class Chosen:
    """Settings that somebody chose."""

    method: str
    """The method that they are of."""
    values: Mapping[str, Any]
    """Those that are not left to the model, by name."""


class SettingsNode:
    """Chooses settings of a method; each method has a class of its own."""

    TITLE: ClassVar[str]
    METHOD: ClassVar[str]
    WIDGETS_OF: ClassVar[type]
    CATEGORY = f"{CATEGORY}/settings"
    FUNCTION = "run"
    RETURN_TYPES: ClassVar = (SETTINGS,)
    RETURN_NAMES: ClassVar = ("settings",)
    OUTPUT_TOOLTIPS: ClassVar = ("Settings, for a node that lifts motion or casts it.",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        """A widget for each setting."""
        return {"required": {}, "optional": widgets(cls.WIDGETS_OF)}

    def run(self, **given: Any) -> tuple[Chosen]:
        """What was chosen."""
        unset = {name: more["default"] for name, (_, more) in widgets(self.WIDGETS_OF).items()}
        return (Chosen(self.METHOD, {name: value for name, value in given.items() if value != unset[name]}),)


def settings_nodes() -> dict[str, type[SettingsNode]]:
    """A node for each method, by the name that workflows know it by."""
    return {f"MotionliftSettings_{name}": _node(name, each.Settings) for name, each in sorted(methods().items())}


def values_of(settings: Chosen | None, method: str) -> dict[str, Any]:
    """What was chosen for a method.

    Args:
        settings: from a node; none where none is connected.
        method: the method that they are for.

    Raises:
        SettingError: they are another method's.
    """
    if settings is None:
        return {}
    if settings.method != method:
        raise SettingError(
            f"the settings are of {settings.method}, and the method is {method}; connect the node with settings of {method}"
        )
    return dict(settings.values)


def widgets(settings: type) -> dict[str, Input]:
    """A widget for each setting of a class, by name."""
    kinds, told = typing.get_type_hints(settings), in_words(settings)
    return {
        field.name: _widget(field, kinds[field.name], f"{told[field.name].help} Allowed: {told[field.name].allowed}.")
        for field in dataclasses.fields(settings)
        if field.name not in ELSEWHERE
    }


def _node(method: str, settings: type) -> type[SettingsNode]:
    about = f"Settings of {method}, for lifting and for casting. What is left as it is goes by the model."
    more = {"TITLE": f"Settings of {method}", "METHOD": method, "WIDGETS_OF": settings, "DESCRIPTION": about}
    return type(f"Settings_{method}", (SettingsNode,), {**more, "__doc__": about})


def _widget(field: dataclasses.Field, kind: type, told: str) -> Input:
    """One setting, left to the model where nothing is chosen: many of a model's own values are not those of the class."""
    choices, low = field.metadata.get("choices"), field.metadata.get("low")
    if choices or kind is bool:
        return described(
            [OWN, *map(str, choices or ("true", "false"))], f"{told} {OWN} leaves it to method and model.", default=OWN
        )
    if kind not in (int, float) or low is None or low < 0:
        return described("STRING", f"{told} Left empty, it is left to method and model.", default="")
    high = field.metadata.get("high")
    limits = {"default": kind(UNSET), "min": kind(UNSET), "max": kind(MOST[kind] if high is None else high)}
    steps = {"step": _step(field.default), "round": False} if kind is float else {}
    return described(kind.__name__.upper(), f"{told} {UNSET} leaves it to method and model.", **limits, **steps)


def _step(default: Any) -> float:
    """By what the arrows of a widget change a number: a tenth of its size, in powers of ten."""
    return 0.1 if default == 0 else 10.0 ** (math.floor(math.log10(abs(default))) - 1)
