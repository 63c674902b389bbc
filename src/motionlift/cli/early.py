"""What is looked at before PyTorch is imported, so that a slip costs half a second and not ten."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from motionlift.core.meant import meant
from motionlift.core.places import check_no_address, check_there
from motionlift.errors import SettingError

DTYPES = ("auto", "bf16", "fp16", "fp32")
"""Types of numbers, as :mod:`motionlift.models.precision` has them."""
DEVICES = ("auto", "cpu", "cuda", "mps", "xpu", "hpu", "mtia", "meta")
"""Kinds of devices that PyTorch may find; whether it does, it says."""
GIVE_MOTION = "give a motion file made by motionlift lift"


def model_name(given: str) -> str:
    """A model, refused where its name can be none; the hub is not asked."""
    from motionlift.models.sources import check_name

    check_name(_text(given))
    return given


def dtype(given: str) -> str:
    """A type of numbers."""
    if given not in DTYPES:
        raise SettingError(f"--dtype is {given[:40]!r}{meant(given, DTYPES)}; allowed are {', '.join(DTYPES)}")
    return given


def device(given: str) -> str:
    """A device, such as ``cuda:1``."""
    kind, colon, number = given.partition(":")
    if kind not in DEVICES or (colon and not number.isdecimal()):
        raise SettingError(
            f"--device {given[:40]!r} is not there{meant(kind, DEVICES)}; allowed are auto, cpu, and cuda or mps where PyTorch "
            "finds one"
        )
    return given


def memory(given: str) -> str:
    """A size of memory, such as ``12GB``."""
    from motionlift.core.memory import read_memory

    try:
        read_memory(given)
    except SettingError as error:
        raise SettingError(f"--{error}") from error
    return given


def method_name(given: str) -> str:
    """A method, refused where there is none of its name."""
    settings_of(_text(given))
    return given


def settings_of(method: str) -> type[Any]:
    """The settings of a method, of which PyTorch is imported only where it keeps them in its own file.

    Raises:
        SettingError: there is no such method.
    """
    from motionlift import settings

    own = settings.settings_of(method)
    if own is not None:
        return own
    from motionlift.methods import method as method_named

    return method_named(method).Settings


def every_settings() -> dict[str, type[Any]]:
    """The settings of every method."""
    from motionlift import settings

    if settings.in_one_file():
        from motionlift.methods import methods

        return {name: method.Settings for name, method in methods().items()}
    return {name: settings_of(name) for name in settings.known()}


def check_files(reference: Path | None = None, picture: Path | None = None, loras: Sequence[str] | None = None) -> None:
    """Refuse files that are not there, and what is plainly no adapter.

    Raises:
        MotionliftError: one of its kinds.
    """
    if reference is not None:
        check_there(reference)
    if picture is not None:
        check_there(picture, "give a picture, as --picture FILE")
    for given in loras or ():
        from motionlift.models.lora_files import LoraFile

        check_no_address(given, "give its file, as --lora FILE")
        LoraFile.parsed(given).check()


def check_run_file(name: str) -> None:
    """Refuse a run that is neither a bundled one nor a file.

    Raises:
        InputError: so it is.
    """
    from motionlift.bench.bundled import bundled_runs

    if name not in bundled_runs():
        near = meant(name, bundled_runs())
        check_there(name, f"give a run file, or one of {', '.join(bundled_runs())}{near}")


def method_of(motion: Path) -> str | None:
    """The method of a motion file, by its header; none where that does not say, which reading it explains.

    Raises:
        InputError: the file is not there.
    """
    check_there(motion, GIVE_MOTION)
    from motionlift.video.marks import FOREIGN, MOTION_KEY, header_of

    try:
        told = json.loads(header_of(motion)[MOTION_KEY])["method"]
    except FOREIGN:
        return None
    return told if isinstance(told, str) else None


def _text(given: str) -> str:
    """What was typed, refused where its bytes are no text."""
    try:
        given.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter(f"{given[:40]!r} came; allowed is text in UTF-8") from None
    return given
