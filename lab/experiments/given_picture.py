"""A first picture that is given: whether the video begins with it, keeps its looks, and moves as its reference does.

The picture is the first frame of a held-out scene, its caption the prompt; the motion is that of another scene, whose thing begins
elsewhere: as it is, and moved to where the picture's thing is.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from lab.experiments.trial import difference, difference_text, recorded, refusal
from motionlift.bench.references import bundled, clip_of, figures, named_prompt_scene, named_reference, words_of
from motionlift.bench.report.tables import interval, table
from motionlift.core.model import Model, Pictures
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.work.cast import cast
from motionlift.work.edit import edit
from motionlift.work.lift import lift

NAME = "given_picture"
COUNT = 16
METHODS: Mapping[str, str] = {"plain sampling": "none", "DiTFlow": "ditflow", "FlowMotion": "flowmotion"}
"""What moves the picture, by title."""
KINDS = {", picture given": (True, False), ", picture given, motion moved": (True, True), "": (False, False)}
"""Whether a picture is given and the motion moved, by what stands behind the title."""
MOVED = ("ditflow", "flowmotion")
"""Methods whose motions are also moved."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each method and reference, with the picture, without, and with it and a motion that was moved."""
    kinds: list[dict[str, Any]] = [
        *[
            {"method": method, "settings": {}, "pictured": given}
            for method in METHODS.values()
            for given in (True, False)
        ],
        *[{"method": method, "settings": {}, "pictured": True, "moved": True} for method in MOVED],
    ]
    return [{"index": index, **kind} for index in range(count) for kind in kinds]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Transfer the motion onto the prompt and its picture; or why the model cannot."""
    backbone: Model = bundled(model)
    refused = refusal(cell, model)
    if refused is None and backbone.about.pictures is Pictures.NEVER:
        refused = "its videos begin with no picture"
    if refused is not None:
        return {"refused": refused}
    index, frames = cell["index"], backbone.about.shape.frames
    scene, wanted = named_reference(index, frames), named_prompt_scene(index, frames=frames)
    shown, method = clip_of(wanted, backbone.about.fps), cell["method"]
    motion = lift(clip_of(scene, backbone.about.fps), backbone, method, settings=words_of(method, scene, wanted))
    if cell.get("moved"):
        motion = moved_to(motion, scene.tracks()[0][0], wanted.tracks()[0][0])
    picture = shown if cell["pictured"] else None
    video = cast(motion, wanted.caption(), backbone, seed=index, picture=picture)
    true = shown.frames[0]
    found = recorded(figures(video.clip.frames, scene, wanted))
    return {
        **found,
        "psnr": psnr(video.clip.frames[0], true),
        "decoded_psnr": psnr(_through_autoencoder(shown, backbone)[0], true),
    }


def moved_to(motion: Motion, start: Sequence[float], wanted: Sequence[float]) -> Motion:
    """A motion whose thing begins at a place, moved so that it begins at another; as it is where both are one to its lattice."""
    right, down = (there - here for here, there in zip(start, wanted, strict=True))
    rows, columns = round(down * motion.lattice.height), round(right * motion.lattice.width)
    return edit(motion, f"move={right:.4f},{down:.4f}") if rows or columns else motion


def psnr(one: UInt8[Tensor, "height width 3"], other: UInt8[Tensor, "height width 3"]) -> float:
    """Peak signal to noise between two pictures of one size, decibels."""
    error = float((one.float() - other.float()).square().mean())
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _through_autoencoder(clip: Clip, backbone: Model) -> UInt8[Tensor, "frames height width 3"]:
    return Clip.from_pixels(backbone.codec.decode(backbone.codec.encode(clip.pixels())), clip.fps).frames


def _kind(record: Mapping[str, Any]) -> tuple[str, bool, bool]:
    return record["method"], record["pictured"], record.get("moved", False)


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every method, with the picture, with it and a motion that was moved, and without."""
    rows = []
    for title, method in METHODS.items():
        for said, kind in KINDS.items():
            own = [record for record in records if "refused" not in record and _kind(record) == (method, *kind)]
            if own:
                decibels = [interval([record[key] for record in own], digits=1) for key in ("psnr", "decoded_psnr")]
                moved = [interval([record["aligned"] for record in own])]
                looks = [interval([record[key] for record in own], 100) for key in ("colour", "background", "shape")]
                rows.append([title + said, *decibels, *moved, *looks])
    if not rows:
        return "## A first picture\n\nIts videos begin with no picture.\n"
    head = ["", "first frame, dB", "the autoencoder's, dB", "aligned error", "colour, %", "background, %", "shape, %"]
    references = len({record["index"] for record in records})
    told = (
        f"## A first picture\n\n{references} held-out references of things; the picture is the first frame of the prompt's scene. "
        "*First frame*: of the video against the picture, beside the picture through the autoencoder. *Motion moved*: to where the "
        "picture's thing is, by whole tokens, as `motionlift edit` does.\n\n"
    )
    return told + table(head, rows) + _by_moving(records)


def _by_moving(records: Sequence[Mapping[str, Any]]) -> str:
    """How a motion that was moved compares with the same as it was, for each method of which both are there."""
    told, known = [], [each for each in records if "refused" not in each]
    for title, method in METHODS.items():
        moved, as_it_was = ([each for each in known if _kind(each) == (method, True, way)] for way in (True, False))
        if moved and as_it_was and (found := difference(moved, as_it_was, "aligned")) is not None:
            told.append(f"{title} {difference_text(found)}")
    return f"\nAligned error with a picture, of the motion moved less as it is: {'; '.join(told)}.\n" if told else ""
