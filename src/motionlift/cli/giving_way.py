"""What a record says gives way to what is typed now and excludes it: nobody typed it this time, so nobody could leave it out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from motionlift.cli import early, given_files
from motionlift.cli.options import is_tuned

SHORT_FOR = {"reference_form": ("reference",), "pairs": ("subjects", "targets")}
"""Settings that options are short for, where they have another name than the option."""
OF_METHODS = (
    *("read", "reference_form", "source_prompt", "negative_prompt", "pairs", "targets"),
    *("strength", "steps", "sampler"),
)
"""Options that are short for settings, which not every method has; a preset can be replaced by one that all have."""
Given = Mapping[str, Any]
"""Arguments of a command by name, each as it was typed: a text, several, or whether a switch is on."""


def given_way(given: Given, changes: Given) -> tuple[dict[str, Any], dict[str, str]]:
    """Recorded arguments that may stand beside those that are typed now.

    Args:
        given: recorded arguments.
        changes: those that are typed now.

    Returns:
        Those that stay, and why others do not, by their names.

    Raises:
        SettingError: there is no such method.
        InputError: the motion that is given anew is not there.
    """
    kept, why = dict(given), {}
    for name, reason in _excluded(given, changes):
        if name in kept and name not in changes:
            del kept[name]
            why[name] = reason
    method = _method(changes)
    if method is not None:
        for name in [*_of_no_use(kept, method)]:
            del kept[name]
            why[name] = f"{method} has no use for it"
        own, others = _of_use(kept.get("settings", ()), method)
        if others:
            kept["settings"] = own
            why["settings"] = f"{method} has no use for {', '.join(others)}"
    return kept, why


def _excluded(given: Given, changes: Given) -> Iterator[tuple[str, str]]:
    """Names of arguments that what is typed excludes, and why."""
    if "prompts" in changes:
        yield "prompt", ""
    if changes.get("fit", "crop") != "crop":
        yield "crop", f"--fit {changes['fit']} crops nothing"
    if "crop" in changes and given.get("fit", "crop") != "crop":
        yield "fit", "--crop says where frames are cropped"
    if "interpolate" in changes or changes.get("upscale"):
        yield "side_by_side", "it shows frames beside those of the reference"
    if changes.get("side_by_side"):
        for name in ("interpolate", "between", "upscale"):
            yield name, "--side-by-side shows frames beside those of the reference"


def _method(changes: Given) -> str | None:
    """The method that is asked for anew, by its name or by a motion."""
    if "motion" in changes:
        return given_files.method_of(Path(changes["motion"]))
    return changes.get("method")


def _of_no_use(given: Given, method: str) -> Iterator[str]:
    """Names of options that a method has no use for."""
    settings = early.settings_of(method)
    known = {field.name for field in fields(settings)}
    for name in OF_METHODS:
        if name in given and not {*SHORT_FOR.get(name, (name,))} <= known:
            yield name
    if "mixed" in given and not is_tuned(settings):
        yield "mixed"


def _of_use(assigned: Sequence[str], method: str) -> tuple[list[str], list[str]]:
    """Settings that a method has, as they were typed, and the names of the others."""
    known = {field.name for field in fields(early.settings_of(method))}
    names = {word: word.partition("=")[0].strip() for word in assigned}
    return [word for word in assigned if names[word] in known], [name for name in names.values() if name not in known]
