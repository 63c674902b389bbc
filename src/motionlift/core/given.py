"""What arguments of the public functions may be, by their names: a slip is told in a line, before any work.

Ranges, and what needs a model, are looked at where they are used.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from os import PathLike
from typing import Any, overload

import numpy as np

from motionlift.errors import SettingError

Whole = int | np.integer
"""A whole number, as programs hold it."""
Wholes = Sequence[Whole] | np.ndarray
"""Several of them."""


@dataclass(frozen=True)
class Kind:
    """What an argument may be."""

    fits: Callable[[Any], bool]
    """Whether a value is of this kind."""
    wanted: str
    """What is allowed, for a message."""
    optional: bool = False
    """Whether None may stand for it."""


@overload
def as_int(value: None) -> None: ...
@overload
def as_int(value: Whole) -> int: ...
@overload
def as_int(value: Whole | None) -> int | None: ...
def as_int(value: Any) -> Any:
    """Whole numbers of any library, such as NumPy's, as Python's; anything else as it is, true and false too."""
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else value


def as_list(value: Any) -> list[Any] | None:
    """The items of a list, a tuple, a range, an array or a tensor; None of anything else, such as text."""
    items = value.tolist() if hasattr(value, "tolist") else value
    return list(items) if isinstance(items, Sequence) and not isinstance(items, str | bytes) else None


def came(value: object) -> str:
    """What came, for a message: short values as Python writes them, of others the type."""
    if value is None or isinstance(value, str | int | float | np.generic):
        return repr(value if not isinstance(value, str) else value[:40])[:60]
    return f"of type {type(value).__name__}"


def check_given(**given: object) -> None:
    """Refuse arguments that are of another kind than :data:`KINDS` has by their names.

    Raises:
        SettingError: one is.
    """
    for name, value in given.items():
        kind = KINDS[name]
        if not (kind.fits(value) or (kind.optional and value is None)):
            raise SettingError(f"{name} is {came(value)}; give {kind.wanted}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_path(value: object) -> bool:
    return isinstance(value, str | PathLike)


def _is_truth(value: object) -> bool:
    return isinstance(value, bool | np.bool_) or (isinstance(value, Integral) and value in (0, 1))


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_list(value: object) -> bool:
    return as_list(value) is not None


def _are_texts(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(map(_is_text, value))


def _are_settings(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, value))


_TRUTH = Kind(_is_truth, "True or False")
KINDS: Mapping[str, Kind] = {
    "advance": Kind(callable, "a function that is called as work goes on"),
    "cached": _TRUTH,
    "callback_on_step_end": Kind(
        callable, "a function, called as callback(model, step, timestep, kwargs)", optional=True
    ),
    "clip_model": Kind(_is_path, "a folder or a name on the hub", optional=True),
    "compiled": _TRUTH,
    "cut_prompt": _TRUTH,
    "dtype": Kind(_is_text, "auto, bf16, fp16 or fp32, as text"),
    "every_frame": Kind(_is_truth, "True, False or None", optional=True),
    "fit": Kind(_is_text, "crop, pad or stretch", optional=True),
    "folder": Kind(_is_path, "the path of a folder", optional=True),
    "from_start": Kind(_is_truth, "True, False or None", optional=True),
    "legacy": _TRUTH,
    "method": Kind(_is_text, "the name of a method, such as ditflow"),
    "metrics": Kind(_are_texts, 'a list of names, such as ["ssim"]', optional=True),
    "mixed": Kind(_is_list, "a list of pairs of a motion and its strength"),
    "name": Kind(_is_text, "an edit with its amounts, such as mirror or move=0.25,0"),
    "negative_prompt": Kind(_is_text, "text", optional=True),
    "overwrite": _TRUTH,
    "parallel": Kind(_is_whole, "a whole number of processes"),
    "path": Kind(_is_path, "the path of a file"),
    "previews": Kind(_is_whole, "a whole number"),
    "prompt": Kind(_is_text, "text"),
    "reader": Kind(_is_text, "diffusers, comfyui, kohya or peft"),
    "settings": Kind(_are_settings, 'values by name, such as {"steps": 20}', optional=True),
    "stages": Kind(_is_list, "a list of stages, such as [motionlift.super_resolution()]"),
    "tracker_weights": Kind(_is_path, "the path of a file", optional=True),
    "truth": Kind(_is_path, "the path of a file that motionlift world wrote", optional=True),
}
"""The arguments of which all values of other kinds are refused."""
