"""What the command line refuses before long work begins."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from motionlift.cli.options import mixture
from motionlift.cli.terminal import notice
from motionlift.errors import OutputError, SettingError

if TYPE_CHECKING:
    from motionlift.video.clip import Clip
    from motionlift.video.marks import Kind
    from motionlift.video.sound import Sound


def check_outputs(
    video: Path, kind: "Kind", beside: "Kind", reference: Path | None = None, overwrite: bool = True
) -> None:
    """Make sure that a video and the file beside it can be written, and that it is not the reference itself."""
    from motionlift.video.writing import check_output, companion

    if reference is not None:
        check_not_same(video, reference, "the reference")
    check_output(video, kind, overwrite)
    check_output(companion(video, beside.suffixes[0]), beside, overwrite)


def check_kept(kept: Path, motion: Path, mixed: Sequence[str] | None, overwrite: bool) -> None:
    """Make sure that a motion can be kept, and that it is none of those that are cast."""
    from motionlift.video.marks import MOTION
    from motionlift.video.writing import check_output

    for source in (motion, *[mixture(word)[0] for word in mixed or ()]):
        check_not_same(kept, source)
    check_output(kept, MOTION, overwrite)


def side_by_side_of(output: Path) -> Path:
    """Where reference and result are shown together."""
    return output.with_stem(f"{output.stem}-side-by-side")


def place_now(output: Path, beside: str, overwrite: bool, is_shown: bool = False) -> Path:
    """Where to write once the work is done: what came to the place meanwhile stays, and the result gets a number.

    Args:
        output: where it was to be written.
        beside: the suffix of what goes with it, ``""`` for nothing.
        overwrite: whether what is there is replaced.
        is_shown: whether reference and result are shown together in a file that goes with it too.
    """
    from motionlift.video.writing import companion, is_taken

    def is_free(place: Path) -> bool:
        names = [
            place,
            *([companion(place, beside)] if beside else []),
            *([side_by_side_of(place)] if is_shown else []),
        ]
        return not any(map(is_taken, names))

    if overwrite or is_free(output):
        return output
    place = next(place for number in count(2) if is_free(place := output.with_stem(f"{output.stem}-{number}")))
    notice([f"{output} was written by another meanwhile and stays; this is {place}"])
    return place


def check_sound(output: Path, reference: Path) -> list[str]:
    """Refuse to keep the sound where the output has none; says so where the reference has none.

    Returns:
        What was said, for the record.

    Raises:
        SettingError: the output is a picture that moves, or a folder of pictures.
    """
    from motionlift.video.encoding import FORMS, form_of
    from motionlift.video.sound import has_sound

    form = form_of(output)
    if not form.has_sound:
        others = " or ".join(suffix for suffix, other in FORMS.items() if other.has_sound)
        raise SettingError(f"--keep-sound is of no use to {form.title}, which has no sound; write {others}")
    said = [] if has_sound(reference) else [f"{reference} has no sound to keep"]
    notice(said)
    return said


def part_heard(reference: Path, start: float, clip: "Clip") -> "Sound | None":
    """The sound of a reference from a second on for as long as a clip plays; none where nothing is heard then."""
    from motionlift.video.sound import Sound, has_sound

    if not has_sound(reference):
        return None
    sound = Sound(reference, start, len(clip.frames) / clip.fps)
    return sound if any(piece.any() for piece in sound.pieces(lambda line: None)) else None


def unheard_part(reference: Path, start: float, clip: "Clip") -> list[str]:
    """What is to be known where a reference has sound, but none in the part that a clip of it shows."""
    if part_heard(reference, start, clip) is not None:
        return []
    end = start + len(clip.frames) / clip.fps
    return [f"{reference} has no sound to keep from {start:g} s to {end:.3g} s, which is the part that is read"]


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
