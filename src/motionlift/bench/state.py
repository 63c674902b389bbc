"""What figures depend on beside the cell itself: weights, defaults and code, each as the start of a hash."""

import hashlib
import json
from dataclasses import fields
from typing import Any

from motionlift.bench.frozen import FROZEN
from motionlift.bench.records import CODE
from motionlift.core.model import Model
from motionlift.methods import method as method_named
from motionlift.work.code import code_of

CHARACTERS = 12
"""Characters of the start of a hash (ours: 48 bits, for at most some thousands of states)."""
SAYS_NOTHING = ("", (), None)
"""Defaults of settings that say nothing; a setting that is new and says nothing leaves what was measured before as it is."""


def fingerprint_of(model: Model) -> str:
    """Of the weights."""
    return model.about.fingerprint[:CHARACTERS]


def defaults_of(method: str, model: Model) -> str:
    """Of a method's defaults for a model, those that say something, and what later settings say beside theirs.

    Args:
        method: its name, or :data:`motionlift.bench.frozen.FROZEN`.
        model: the model.
    """
    said = {} if method == FROZEN else _said(method, model)
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:CHARACTERS]


def _said(method: str, model: Model) -> dict[str, Any]:
    settings = method_named(method).settings(model)
    return {
        item.name: value
        for item in fields(settings)
        if (value := getattr(settings, item.name)) not in SAYS_NOTHING
        and not (item.metadata["later"] and value == item.default)
    }


def code_for(method: str, model: Model) -> str:
    """Of the code that a method runs through on a model; of a model from outside the library its own code does not count."""
    return code_of(method, model.about.family)


def state_of(method: str, model: Model) -> dict[str, str]:
    """All of it, as records hold it."""
    return {
        "fingerprint": fingerprint_of(model),
        "defaults": defaults_of(method, model),
        CODE: code_for(method, model),
    }
