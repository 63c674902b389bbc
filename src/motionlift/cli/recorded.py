"""The files that a record names, each as it was then."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motionlift.cli.options import mixture
from motionlift.errors import InputError, MotionError
from motionlift.video.files import hash_of_file
from motionlift.video.reading import hash_of as hash_of_source


def same_files(
    record: Mapping[str, Any], given: Mapping[str, Any], changes: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """The files that a command reads, where they are now, each as it was then; those that are given anew are taken as they are.

    Args:
        record: what it was made by.
        given: arguments of the command.
        changes: those that are given anew.
        folder: that of the video, in which files are looked for that are not here.

    Raises:
        InputError: one is not there, or was changed since; MotionError where that is a motion.
    """
    found: dict[str, Any] = {}
    if "reference" in given and "reference" not in changes:
        told = record.get("source")
        found["reference"] = str(
            _same(given["reference"], told.get("sha256") if isinstance(told, dict) else None, folder)
        )
    if "motion" in given and "motion" not in changes:
        found["motion"] = str(_same_motion(given["motion"], record.get("motion_sha256"), folder))
    if "picture" in given and "picture" not in changes:
        found["picture"] = str(_same(given["picture"], record.get("picture_sha256"), folder, "--picture"))
    if "loras" in given and "loras" not in changes:
        model = record.get("model")
        told = model.get("loras") if isinstance(model, dict) else None
        found["loras"] = [_same_lora(word, told, folder) for word in given["loras"]]
    if "mixed" in given and "mixed" not in changes:
        told = record.get("mixed")
        hashes = [own.get("motion_sha256") for own in told if isinstance(own, dict)] if isinstance(told, list) else []
        found["mixed"] = [
            _same_mixture(word, hashes[number] if number < len(hashes) else None, folder)
            for number, word in enumerate(given["mixed"])
        ]
    return found


def _place(name: str, folder: Path, option: str) -> Path:
    """A file that a record names: where it says, from here, or from the folder of the video."""
    for place in (Path(name), folder / name):
        if place.exists():
            return place
    how = f"give another by {option}" if option else "give it, or another, after the file"
    raise InputError(f"{name}, of which it was made, is not there; {how}, or run this where it is")


def _same(name: str, told: object, folder: Path, option: str = "") -> Path:
    place = _place(name, folder, option)
    if isinstance(told, str) and hash_of_source(place.absolute()) != told:
        raise InputError(f"{place} was changed since; {_as_it_is(str(place), option)}")
    return place


def _same_motion(name: str, told: object, folder: Path, option: str = "") -> Path:
    from motionlift.motion.file import Motion

    place = _place(name, folder, option)
    if isinstance(told, str) and Motion.load(place).digest() != told:
        raise MotionError(f"{place} was changed since; {_as_it_is(str(place), option)}")
    return place


def _as_it_is(place: str, option: str) -> str:
    return (
        f"give {option} {place} to take it as it is" if option else f"give {place} after the file to take it as it is"
    )


def _same_lora(word: str, told: object, folder: Path) -> str:
    """An adapter with what follows its name, as ``star.safetensors:0.8``."""
    from motionlift.models.lora_files import LoraFile

    hashes = [own.get("sha256") for own in told if isinstance(own, dict)] if isinstance(told, list) else []
    asked = LoraFile.parsed(word)
    place = _place(str(asked.path), folder, "--lora")
    if hashes and hash_of_file(place) not in hashes:
        raise InputError(f"{place} was changed since; {_as_it_is(word, '--lora')}")
    return f"{place}:{asked.weight!r}{'' if asked.network is None else f':{asked.network}'}"


def _same_mixture(word: str, told: object, folder: Path) -> str:
    name, strength = mixture(word)
    return f"{_same_motion(str(name), told, folder, '--mix')}={strength}"
