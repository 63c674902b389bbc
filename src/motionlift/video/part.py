"""Which part of a reference is read, in time and in the frame, and what lies behind what is transparent in it."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from numbers import Real
from typing import Any

import numpy as np
from PIL import ImageColor

from motionlift.errors import SettingError
from motionlift.video.limits import check_fit, check_rate

MOTION = "motion"
"""The place of a crop that lies where things move."""
MIDDLE = (0.5, 0.5)
"""Where a crop lies by itself."""
GREY = "grey"
"""What lies behind what is transparent (ours: middle grey, 128 of 255, which is the zero of a model's pixels)."""
MOST_SECONDS = 86_400.0
"""Latest start and longest duration, seconds (ours: a day)."""
LONGEST_COLOUR = 40
"""Most characters of a colour's name (ours: the longest that Pillow knows has 20)."""
LONGEST_PLACE = 40
"""Most characters of the place of a crop (ours: two numbers with every digit that they can have)."""
NUMBER = r"\s*(\d*\.?\d+|\d+\.)\s*"
"""A number without a sign."""


def _plain(value: object) -> object:
    """NumPy's numbers, and others of that kind, as Python's; anything else as it is."""
    return float(value) if isinstance(value, Real) and not isinstance(value, int | float) else value


@dataclass(frozen=True)
class Part:
    """What of a reference is read."""

    start: float | int = 0.0
    """Where it begins, seconds after the first frame of the reference."""
    duration: float | int | None = None
    """Seconds that are read at most; to its end where none are given."""
    crop: Sequence[float | int] | str | None = None
    """Where the middle of a crop lies, as shares of width and height from the left and from the top: two numbers, kept as a pair;
    ``"motion"`` is where things move. By default the middle."""
    background: str | tuple[int, int, int] = GREY
    """Colour behind what is transparent: a name, ``#rrggbb``, or red, green and blue of 0 to 255."""
    rate: float | int | None = None
    """Frames a second of a folder of pictures, which say none; other references say their own."""

    def __post_init__(self) -> None:
        for name in ("start", "duration", "rate"):
            object.__setattr__(self, name, _plain(getattr(self, name)))
        if isinstance(self.crop, np.ndarray):
            object.__setattr__(self, "crop", self.crop.tolist())
        if isinstance(self.crop, list | tuple):
            object.__setattr__(self, "crop", tuple(map(_plain, self.crop)))

    @property
    def colour(self) -> tuple[int, int, int]:
        """The background as red, green and blue."""
        return colour_of(self.background)

    @property
    def place(self) -> tuple[float | int, float | int]:
        """Where the middle of a crop lies, as far as that is known before the reference is read."""
        return (self.crop[0], self.crop[1]) if isinstance(self.crop, tuple) else MIDDLE

    @property
    def cut(self) -> bool:
        """Whether anything is left out in time."""
        return self.start > 0 or self.duration is not None


WHOLE = Part()
"""All of a reference."""


@dataclass(frozen=True)
class Taken:
    """How a reference was read, as records and motions say it."""

    part: Part = WHOLE
    """What of it; of a crop that was to lie where things move, with the place that was found."""
    fit: str = "crop"
    """How its frames got another shape."""

    @property
    def is_beginning(self) -> bool:
        """Whether it begins where the reference does, and frames of another shape are the middle of it."""
        return self.part.start == 0 and self.part.place == MIDDLE and self.part.crop != MOTION and self.fit == "crop"

    def told(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return {**asdict(self.part), "fit": self.fit}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Taken":
        """What :meth:`told` gave, after JSON; what else is in it is left alone.

        Raises:
            SettingError: it says no part of a reference.
        """
        values = {own.name: told.get(own.name, own.default) for own in fields(Part)}
        crop, background, fit = values["crop"], values["background"], str(told.get("fit"))
        numbers = [values["start"], *[values[name] for name in ("duration", "rate") if values[name] is not None]]
        numbers += crop if isinstance(crop, list) else []
        is_colour = isinstance(background, str) or (
            isinstance(background, list) and len(background) == 3 and all(type(value) is int for value in background)
        )
        if not is_colour or not all(map(_is_number, numbers)) or not isinstance(crop, list | str | None):
            raise SettingError(
                f"a part of a reference is {_told(dict(told))}; it has seconds, shares, a colour and a rate"
            )
        part = Part(**{**values, "background": background if isinstance(background, str) else tuple(background)})
        check_part(part, fit)
        return cls(part, fit)


AS_IT_IS = Taken()
"""All of a reference, and of frames of another shape the middle."""


def check_part(part: Part, fit: str) -> None:
    """Refuse a part that cannot be read.

    Args:
        part: what is asked for.
        fit: how frames get their shape.

    Raises:
        SettingError: a number out of range, no such colour, or a place of a crop where nothing is cropped.
    """
    check_fit(fit)
    check_seconds("start", part.start, 0.0)
    if part.duration is not None:
        check_seconds("duration", part.duration, 0.001)
    if part.crop is not None:
        check_crop(part.crop)
        if fit != "crop":
            raise SettingError(f"crop is given, and fit is {fit}, which crops nothing; give one of them")
    if part.rate is not None:
        check_rate(part.rate)
    colour_of(part.background)


def check_seconds(name: str, seconds: float | int, least: float) -> None:
    """Refuse a time, told by name, that is below ``least`` or above :data:`MOST_SECONDS`.

    Raises:
        SettingError: so it is, or it is no number.
    """
    if not _is_number(seconds) or not least <= seconds <= MOST_SECONDS:
        raise SettingError(f"{name} is {_told(seconds)}; give seconds from {least:g} to {MOST_SECONDS:g}")


def check_crop(crop: Sequence[float | int] | str) -> None:
    """Refuse what says no place of a crop.

    Raises:
        SettingError: so it is.
    """
    shares = crop if isinstance(crop, tuple) else ()
    if crop == MOTION or (len(shares) == 2 and all(_is_number(share) and 0 <= share <= 1 for share in shares)):
        return
    raise SettingError(
        f"crop is {_told(crop)}; give two numbers from 0 to 1, such as 0.3,0.5, where the crop's middle lies, or {MOTION}"
    )


def crop_of(text: str) -> tuple[float, float] | str:
    """The place of a crop from ``x,y`` or ``motion``.

    Raises:
        SettingError: it is neither.
    """
    found = re.fullmatch(f"{NUMBER},{NUMBER}", text) if len(text) <= LONGEST_PLACE else None
    crop = text if found is None else (float(found[1]), float(found[2]))
    outside = isinstance(crop, tuple) and max(crop) > 1
    check_crop(text if outside else crop)  # told as it came
    return crop


def colour_of(background: str | tuple[int, int, int]) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a colour.

    Args:
        background: a name of CSS, such as ``white``, ``#rrggbb``, or the three numbers.

    Raises:
        SettingError: no such colour, or one that is itself transparent.
    """
    if not isinstance(background, str):
        whole = isinstance(background, tuple | list) and all(type(value) is int for value in background)
        if whole and len(background) == 3 and all(0 <= value <= 255 for value in background):
            return background[0], background[1], background[2]
    elif len(background) <= LONGEST_COLOUR and re.fullmatch(r"[a-zA-Z]+|#[0-9a-fA-F]{3}|#[0-9a-fA-F]{6}", background):
        try:
            return ImageColor.getrgb(background)[:3]
        except ValueError:
            pass
    told = str(background)[:LONGEST_COLOUR]
    raise SettingError(f"background is {told!r}; give a colour such as grey, white or black, or #rrggbb")


def told_times(part: Part) -> str:
    """The part in time, for messages; nothing where it is all."""
    end = "" if part.duration is None else f" to {part.start + part.duration:g} s"
    return f" from {part.start:g} s{end}" if part.cut and math.isfinite(part.start) else ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _told(value: object) -> str:
    """What came, for messages; not all of what is long."""
    return repr(value[:40] if isinstance(value, str) else value)[:80]
