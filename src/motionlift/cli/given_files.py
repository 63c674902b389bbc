"""Files and folders that are given, looked at before PyTorch is imported."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionlift.cli.terminal import COMMAND_LINE
from motionlift.core.meant import meant
from motionlift.core.places import check_no_address, check_there
from motionlift.errors import InputError, MotionError, OutputError, SettingError
from motionlift.models.sources import BUNDLED_MODELS

if TYPE_CHECKING:
    from motionlift.video.part import Part

GIVE_MOTION = "give a motion file made by motionlift lift"
PROTOCOLS = ("davis", "mtbench")
"""The published protocols, as :mod:`motionlift.bench.protocols` has them."""
DEMO_PAGE = "index.html"
"""The page of the demo, as :mod:`motionlift.demo` has it."""


def refusing_empty_names(command: Callable[..., None]) -> Callable[..., None]:
    """A command that refuses an empty name of a file, as an unset variable of a shell gives it: Python takes it for the folder."""

    @wraps(command)
    def named(*given: Any, **options: Any) -> None:
        here = [_typed(command, name) for name, value in options.items() if isinstance(value, Path) and value == Path()]
        if here and _is_empty_alone(COMMAND_LINE.get(())):
            raise InputError(
                f"{' or '.join(here)} is empty, as a variable that is not set; give the name of a file or folder"
            )
        command(*given, **options)

    return named


def _typed(command: Callable[..., None], name: str) -> str:
    """What an argument of a command is called by those who type it."""
    for about in getattr(inspect.signature(command).parameters[name].annotation, "__metadata__", ()):
        # Of an option, typer keeps its first name as the default where there is another.
        options = [
            own for own in (about.default, *(about.param_decls or ())) if isinstance(own, str) and own[:1] == "-"
        ]
        return options[0] if options else about.metavar or name
    return name


def _is_empty_alone(words: Sequence[str]) -> bool:
    """Whether one of some words is empty, or an option's value, and none names the folder that one is in."""
    values = [word.partition("=")[2] if word.startswith("--") and "=" in word else word for word in words]
    return "" in values and not any(value and Path(value) == Path() for value in values)


def check_files(reference: Path | None = None, picture: Path | None = None, loras: Sequence[str] | None = None) -> None:
    """Refuse files that are not there, and what is plainly no picture and no adapter.

    Raises:
        MotionliftError: one of its kinds.
    """
    if reference is not None:
        check_there(reference)
    if picture is not None:
        from motionlift.video.picture_header import check_picture

        check_there(picture, "give a picture, as --picture FILE")
        check_picture(picture, "give a picture, as --picture FILE")
    for given in loras or ():
        from motionlift.models.lora_files import LoraFile

        check_no_address(given, "give its file, as --lora FILE")
        LoraFile.parsed(given).check()


def check_video(path: Path, part: "Part | None" = None) -> None:
    """Refuse what is plainly no video, by decoding the first frames of the part that is read.

    Raises:
        InputError: it is none, holds one frame, or ends before the part begins.
    """
    from motionlift.video.part import WHOLE
    from motionlift.video.reading import check_moves

    check_moves(path, part or WHOLE)


def method_of(motion: Path) -> str:
    """The method of a motion file, by its header.

    Raises:
        InputError: the file is not there.
        MotionError: it is no motion.
    """
    return _told_by(motion)["method"]


def check_lifted_with(motion: Path, model: str) -> None:
    """Refuse a motion of another bundled model, in the words in which the model does itself once it is read.

    Raises:
        InputError: the file is not there.
        MotionError: it is no motion, or of another bundled model than this one.
    """
    told = _told_by(motion)
    own, grid = told.get("model"), told.get("grid")
    if not (model in BUNDLED_MODELS and own in BUNDLED_MODELS and own != model and isinstance(grid, dict)):
        return
    lattice = "x".join(str(grid.get(side))[:6] for side in ("frames", "height", "width"))
    raise MotionError(
        f"the motion was lifted with {own} (lattice {lattice}) and does not fit {model}: cast it with that model, or lift it again "
        "with this one"
    )


def _told_by(motion: Path) -> Mapping[str, Any]:
    """What the header of a motion says of it, its method at least.

    Raises:
        InputError: the file is not there.
        MotionError: it is no motion.
    """
    check_there(motion, GIVE_MOTION)
    if motion.is_dir():
        raise MotionError(f"{str(motion)!r} is a folder; {GIVE_MOTION}")
    from motionlift.motion.adapter_file import why_foreign
    from motionlift.video.marks import FOREIGN, MOTION_KEY, header_of

    try:
        foreign = why_foreign(motion)
        if foreign:
            raise MotionError(f"{motion} {foreign}; {GIVE_MOTION}")
        header = header_of(motion)
        if MOTION_KEY not in header:
            raise MotionError(f"{motion} is a safetensors file but no motion; {GIVE_MOTION}")
        told = json.loads(header[MOTION_KEY])
        if not isinstance(told["method"], str):
            raise ValueError("it names no method")
    except FOREIGN as error:
        reason = " ".join(str(error).split())[:200]
        raise MotionError(f"{motion} is damaged or no motion file ({reason}); {GIVE_MOTION}") from error
    return told


def check_run_file(name: str) -> None:
    """Refuse a run that is neither a bundled one nor a file in YAML that names its parts.

    Raises:
        InputError: so it is.
    """
    from motionlift.bench.bundled import bundled_runs, run_parts, run_text

    if name not in bundled_runs():
        near = meant(name, bundled_runs())
        check_there(name, f"give a run file, or one of {', '.join(bundled_runs())}{near}")
    from motionlift.jobs.page import Page

    run_parts(Page(name), run_text(name))


def check_job_file(path: Path) -> None:
    """Refuse what is no job file, and one whose YAML cannot be read.

    Raises:
        InputError: so it is.
    """
    from motionlift.jobs.job_text import NEEDED, YAML, job_text
    from motionlift.jobs.page import Page

    text, form = job_text(path)
    if form in YAML:
        Page(str(path)).root(text, NEEDED)


def check_records(path: Path) -> None:
    """Refuse what holds no records, or no answers of a study.

    Raises:
        InputError: so it is.
    """
    check_there(path, "give the records of motionlift bench, or their folder, or the answers of a study")
    if path.suffix.lower() == ".csv" and path.is_file():
        from motionlift.bench.report.answers import read_answers

        read_answers(path)
        return
    from motionlift.bench.records import RECORDS, records_of
    from motionlift.jobs.records import has_record

    file = records_of(path)
    if not has_record(file):
        raise InputError(f"{file} holds no record of motionlift bench; give the file {RECORDS} of a run, or its folder")


def check_protocol(name: str, folder: Path, prompts: Path | None) -> None:
    """Refuse a protocol that there is not, and clips that are not there.

    Raises:
        SettingError: there is no such protocol, or it takes no prompts.
        InputError: the folder or the table is not there.
    """
    if name not in PROTOCOLS:
        raise SettingError(
            f"the protocol is {name[:40]!r}{meant(name, PROTOCOLS)}; allowed are {' and '.join(PROTOCOLS)}"
        )
    if name != PROTOCOLS[0] and prompts is not None:
        raise SettingError(f"--prompts is of no use to {name}, whose clips have their own")
    check_there(folder, "give the folder that holds the clips' folders")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; give the folder that holds the clips' folders")
    if prompts is not None:
        check_there(prompts, "give a table of DAVIS's prompts, as --prompts TABLE")


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be filled: an address, a file, or one whose parent is not there.

    Raises:
        OutputError: so it is.
    """
    from motionlift.video.writing import check_local

    check_local(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"cannot write into {folder}: it is a file; name a folder")
    if not folder.absolute().parent.is_dir():
        raise OutputError(f"cannot make {folder}: there is no folder {folder.absolute().parent}; make it first")


def check_demo(folder: Path, overwrite: bool) -> None:
    """Refuse a folder for the demo that cannot be filled, or whose page is to stay.

    Raises:
        OutputError: so it is.
    """
    from motionlift.video.writing import is_taken

    check_folder(folder)
    page = folder / DEMO_PAGE
    if not overwrite and is_taken(page):
        raise OutputError(f"cannot write {page}: it is there already; choose another folder, or give --overwrite")


def check_world(folder: Path, count: int, size: int, overwrite: bool) -> None:
    """Refuse clips of the world of an odd size, and a folder that cannot be filled with them.

    Raises:
        SettingError: an odd size.
        OutputError: a file that is there is not to be replaced, or the folder cannot be.
    """
    if size % 2:
        raise SettingError(f"--size is {size}; give an even number of pixels, as an MP4 has no odd sides")
    check_folder(folder)
    if not folder.exists():
        return
    from motionlift.video.marks import TRUTH, WORLD
    from motionlift.video.writing import check_place

    for number in range(count):
        check_place(folder / f"{number:04d}.mp4", WORLD, overwrite)
        check_place(folder / f"{number:04d}.json", TRUTH, overwrite)
