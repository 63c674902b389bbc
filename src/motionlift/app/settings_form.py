"""Fields for the settings of a method, made of its dataclass: there is no second list."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import gradio as gr

from motionlift.core.settings import described
from motionlift.methods import method as method_named

AS_IT_IS = ""
"""What a field holds where nothing is set: the default of the method for the model."""
CASTING, LIFTING = ("cast", "both"), ("lift", "both")
"""Settings that matter to the one and to the other."""


def settings_of(method: str, whens: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Settings of a method that matter then: what they allow, what they do, and their choices, if only some values can be.

    Raises:
        SettingError: there is no such method.
    """
    kind = method_named(method).Settings
    words, defaults = described(kind), kind()
    return {
        each.name: {
            "choices": ["true", "false"] if isinstance(each.default, bool) else list(each.metadata.get("choices", ())),
            "help": words[each.name].help,
            "allowed": words[each.name].allowed,
            "default": getattr(defaults, each.name),
        }
        for each in fields(kind)
        if each.metadata.get("when", "both") in whens
    }


def show_settings(method: str, whens: tuple[str, ...], chosen: gr.State) -> None:
    """Fields for all of them; what is set comes into ``chosen``, by name, as ``--set`` takes it."""
    for name, about in settings_of(method, whens).items():
        told = f"{about['help']} By itself {about['default']}; {about['allowed']}."
        if about["choices"]:
            shown = gr.Dropdown([AS_IT_IS, *map(str, about["choices"])], value=AS_IT_IS, label=name, info=told)
        else:
            shown = gr.Textbox(value=AS_IT_IS, label=name, info=told, max_length=500)

        def change(value: str, held: Mapping[str, str], name: str = name) -> dict[str, str]:
            others = {key: kept for key, kept in held.items() if key != name}
            return {**others, name: value} if value and value.strip() else others

        # Through the queue: past it, Gradio tells nobody that what is chosen has changed.
        shown.change(change, [shown, chosen], chosen, show_progress="hidden")
