"""What the command line refuses before long work begins."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from motionlift.errors import OutputError

if TYPE_CHECKING:
    from motionlift.video.marks import Kind


def check_outputs(video: Path, kind: "Kind", beside: "Kind", reference: Path | None = None) -> None:
    """Make sure that a video and the file beside it can be written, and that it is not the reference itself."""
    from motionlift.video.writing import check_output, companion

    if reference is not None:
        check_not_same(video, reference, "the reference")
    check_output(video, kind)
    check_output(companion(video, beside.suffixes[0]), beside)


def check_run_folder(folder: Path | None) -> None:
    """Refuse a folder that is to keep a tuning run and holds somebody's files under the names of a run's."""
    from motionlift.motion.run_files import check_folder

    if folder is not None:
        check_folder(folder)


def check_not_same(output: Path, given: Path, what: str = "the motion itself") -> None:
    """Refuse to write over what is read."""
    with suppress(OSError):  # one of them is not there, or cannot be: reading says so
        if output.samefile(given):
            raise OutputError(f"cannot write {output}: it is {what}; choose another name")
