"""Imported before a program of a page: what is lifted and transferred takes three steps, where the program does not say."""

import functools
from typing import Any

import motionlift as ml

STEPS = 3


def _with_few_steps(function: Any) -> Any:
    @functools.wraps(function)
    def called(*given: Any, **named: Any) -> Any:
        named["settings"] = {"steps": STEPS, **(named.get("settings") or {})}
        return function(*given, **named)

    return called


for name in ("lift", "transfer"):
    setattr(ml, name, _with_few_steps(getattr(ml, name)))
