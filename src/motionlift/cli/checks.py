"""What the command line refuses before long work begins."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from motionlift.errors import OutputError


def check_outputs(video: Path, companions: Sequence[str], reference: Path | None = None) -> None:
    """Make sure that a video and the files beside it can be written, and that it is not the reference itself."""
    from motionlift.video.writing import check_output

    check_output(video)
    for suffix in companions:
        check_output(video.with_suffix(suffix), (suffix,))
    if reference is not None:
        check_not_same(video, reference, "the reference")


def check_not_same(output: Path, given: Path, what: str = "the motion itself") -> None:
    """Refuse to write over what is read."""
    with suppress(OSError):  # one of them is not there, or cannot be: reading says so
        if output.samefile(given):
            raise OutputError(f"cannot write {output}: it is {what}; choose another name")
