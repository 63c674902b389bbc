"""What a shell may complete: names of models, methods, presets, settings and their values, edits, readers and runs."""

import io
import itertools
import os
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import Field, fields
from typing import Any

import typer

from motionlift.cli import early
from motionlift.errors import MotionliftError

BREAKS = "=:@"
"""Signs at which bash takes words apart that are one to a program (released program: bash, COMP_WORDBREAKS, without those that end
words)."""


@contextmanager
def in_bash(environment: MutableMapping[str, str] = os.environ) -> Iterator[None]:
    """Answer bash, which takes ``form=cos`` for three words, and replaces the last of them alone.

    Args:
        environment: where bash says what is typed; it is changed to the words that are meant.
    """
    before = _put_together(environment)
    told = io.StringIO()
    try:
        with redirect_stdout(told):
            yield
    finally:
        for line in told.getvalue().splitlines():
            print(line.removeprefix(before))


def _put_together(environment: MutableMapping[str, str]) -> str:
    """Put the words together that bash took apart; gives what of the last one stands before the part that bash completes."""
    parts = environment.get("COMP_WORDS", "").split("\n")
    if len(parts) == 1:
        return ""
    parts = parts[: int(environment["COMP_CWORD"]) + 1]
    words = parts[:1]
    for previous, part in itertools.pairwise(parts):
        if _breaks(part) or (_breaks(previous) and part):
            words[-1] += part
        else:
            words.append(part)
    environment.update({"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)})
    return words[-1] if _breaks(parts[-1]) else words[-1].removesuffix(parts[-1])


def _breaks(part: str) -> bool:
    return bool(part) and not part.strip(BREAKS)


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
    """Settings of the method that was typed, or of the default one, each with its equals sign; behind it, its values.

    Where but one setting is meant, those come at once: a shell sets a blank behind what can be nothing else.
    """
    name, equals, _ = incomplete.partition("=")
    names = [name] if equals else _beginning([field.name for field in _fields(context)], name)
    values = [f"{names[0]}={value}" for value in _values(context, names[0])] if len(names) == 1 else []
    return _beginning(values or [f"{each}=" for each in names if not equals], incomplete)


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
