"""A first picture that is given: whether the video begins with it, keeps its looks, and moves as its reference does.

The picture is the first frame of a held-out scene, its caption the prompt; the motion is that of another scene.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from lab.experiments.trial import recorded, refusal
from motionlift.bench.references import bundled, clip_of, figures, named_prompt_scene, named_reference, words_of
from motionlift.bench.report.tables import interval, table
from motionlift.core.model import Model, Pictures
from motionlift.video.clip import Clip
from motionlift.work.cast import transfer

NAME = "given_picture"
COUNT = 16
METHODS: Mapping[str, str] = {"plain sampling": "none", "DiTFlow": "ditflow", "FlowMotion": "flowmotion"}
"""What moves the picture, by title."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each method and reference, with the picture and without."""
    return [
        {"index": index, "method": method, "settings": {}, "pictured": pictured}
        for index in range(count)
        for method in METHODS.values()
        for pictured in (True, False)
    ]


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
    video = transfer(
        clip_of(scene, backbone.about.fps),
        wanted.caption(),
        backbone,
        method=method,
        seed=index,
        settings=words_of(method, scene, wanted),
        picture=shown if cell["pictured"] else None,
    )
    true = shown.frames[0]
    found = recorded(figures(video.clip.frames, scene, wanted))
    return {
        **found,
        "psnr": psnr(video.clip.frames[0], true),
        "decoded_psnr": psnr(_through_autoencoder(shown, backbone)[0], true),
    }


def psnr(one: UInt8[Tensor, "height width 3"], other: UInt8[Tensor, "height width 3"]) -> float:
    """Peak signal to noise between two pictures of one size, decibels."""
    error = float((one.float() - other.float()).square().mean())
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def _through_autoencoder(clip: Clip, backbone: Model) -> UInt8[Tensor, "frames height width 3"]:
    return Clip.from_pixels(backbone.codec.decode(backbone.codec.encode(clip.pixels())), clip.fps).frames


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every method, with the picture and without."""
    rows = []
    for title, method in METHODS.items():
        for pictured in (True, False):
            own = [
                record
                for record in records
                if (record["method"], record["pictured"]) == (method, pictured) and "refused" not in record
            ]
            if own:
                decibels = [interval([record[key] for record in own], digits=1) for key in ("psnr", "decoded_psnr")]
                moved = [interval([record["aligned"] for record in own])]
                looks = [interval([record[key] for record in own], 100) for key in ("colour", "background", "shape")]
                rows.append([title + (", picture given" if pictured else ""), *decibels, *moved, *looks])
    if not rows:
        return "## A first picture\n\nIts videos begin with no picture.\n"
    head = ["", "first frame, dB", "the autoencoder's, dB", "aligned error", "colour, %", "background, %", "shape, %"]
    references = len({record["index"] for record in records})
    told = (
        f"## A first picture\n\n{references} held-out references of things; the picture is the first frame of the prompt's scene. "
        "*First frame*: of the video against the picture, beside the picture through the autoencoder.\n\n"
    )
    return told + table(head, rows)
