"""The published protocols: whether a folder holds what one needs, said of every clip in a line of its own.

DAVIS 2016 (Perazzi et al., CVPR 2016) has 50 clips, all of which are in DAVIS 2017 too. DiTFlow (2412.07776) takes 50 of DAVIS,
their first 24 frames and three prompts each: what the clip shows, another subject, and another scene around it. Which 50, and
the prompts, its program does not say; ``protocols/davis.csv`` takes the 50 of DAVIS 2016, with prompts of our own writing.
"""

import difflib
from collections.abc import Iterator

from motionlift.bench.mtbench import MTBench
from motionlift.bench.sources import CLIP_COLUMN, Davis, davis_table, listed, read_pictures
from motionlift.errors import InputError
from motionlift.video.footage import Footage

JPEG_FOLDERS = ("JPEGImages/480p", "JPEGImages/Full-Resolution", "JPEGImages/1080p", "DAVIS/JPEGImages/480p")
"""Where the clips' folders lie in what is downloaded of DAVIS."""
LIKENESS = 0.75
"""How alike two names are for one to be taken for the other misspelt (ours), 0..1."""


def davis_faults(source: Davis) -> Iterator[str]:
    """What a folder of DAVIS lacks, a line for each clip: one that is not there, has too few frames, or cannot be read.

    Raises:
        InputError: the folder, or the table, cannot be read at all.
    """
    names = [row[CLIP_COLUMN] for row in davis_table(source.prompts)[: source.clips]]
    there = {path.name for path in listed(source.path) if path.is_dir()}
    if not there.intersection(names):
        within = next((place for place in JPEG_FOLDERS if (source.path / place).is_dir()), None)
        advice = (
            f"give {source.path / within}" if within else "give the folder that holds the clips' folders of JPEG files"
        )
        raise InputError(
            f"{source.path} holds none of the {len(names)} clips that {source.prompts.name} names; {advice}"
        )
    for name in names:
        if name not in there:
            yield f"{name}: is not there{_misspelt(name, there - set(names))}"
            continue
        try:
            read_pictures(source.path / name, source.frames)
        except InputError as error:
            yield f"{name}: {error}"


def mtbench_faults(source: MTBench) -> Iterator[str]:
    """What a folder of MTBench lacks, a line for each clip: a video, a caption or prompts.

    Raises:
        InputError: the folder cannot be read, or holds no clips at all.
    """
    names = source.clips()
    folders = sorted(place.name for place in listed(source.path) if place.is_dir() and not place.name.startswith("."))
    for name in folders:
        if name not in names:
            yield f"{name}: has no eval_prompts.txt"
            continue
        try:
            source.prompts(name)
            source.caption(name)
            if not source.video(name).is_file():
                raise InputError(f"{source.video(name)} is not there")
            frames = Footage.of(source.video(name)).frames
            if source.frames is not None and frames < source.frames:
                raise InputError(f"{source.video(name)} has {frames} frames; {source.frames} are needed")
        except InputError as error:
            yield f"{name}: {error}"


def _misspelt(name: str, others: set[str]) -> str:
    """The folder that is meant, where one has nearly the name."""
    plain = {_plain(other): other for other in others}
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=LIKENESS)
    return f"; {plain[near[0]]} has nearly that name: rename it" if near else ""


def _plain(name: str) -> str:
    """A name without what is often written otherwise."""
    return "".join(filter(str.isalnum, name.lower()))
