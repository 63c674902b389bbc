"""The options that several commands share, each declared once, and how those that are given again and again are read."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from motionlift.errors import SettingError


def whole(low: int, high: int) -> Callable[[Any], int]:
    """A reader of whole numbers in a range, whose refusal names what came and what is allowed."""

    def read(given: Any) -> int:
        with suppress(ValueError):
            if low <= int(given) <= high:
                return int(given)
        raise typer.BadParameter(f"{str(given)[:40]!r} came; allowed is a whole number from {low} to {high}")

    return read


MOST_SEED = 2**63 - 1
FRAMES = (2, 1025)
"""Fewest and most frames, as :mod:`motionlift.video.limits` has them."""

Reference = Annotated[Path, typer.Argument(metavar="REFERENCE", help="A video file.", show_default=False)]
Prompt = Annotated[str, typer.Option("--prompt", help="What the new video shows.", show_default=False)]
MethodName = Annotated[str, typer.Option("--method", help="How motion is taken and given; see motionlift methods.")]
Model = Annotated[
    str, typer.Option("--model", help="A bundled model, a folder of a diffusers pipeline, or a hub name.")
]
VideoOutput = Annotated[Path, typer.Option("--output", help="The MP4 to write; its record goes beside it, as .json.")]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", parser=whole(0, MOST_SEED), help="Seed of the starting noise.")
]
Frames = Annotated[
    int | None,
    typer.Option("--frames", metavar="N", parser=whole(*FRAMES), help="Length; by default the model's own."),
]
Size = Annotated[
    str | None,
    typer.Option("--size", metavar="WIDTHxHEIGHT", help="Size in pixels, such as 832x480; by default the model's own."),
]
Steps = Annotated[str | None, typer.Option("--steps", metavar="N", help="Denoising steps; short for --set steps=N.")]
Read = Annotated[
    str | None, typer.Option("--read", help="Where ditflow reads motion: attention or flow; short for --set read=...")
]
SourcePrompt = Annotated[
    str | None,
    typer.Option(
        "--source-prompt", help="What the reference shows, for its inversion; short for --set source_prompt=..."
    ),
]
NegativePrompt = Annotated[
    str | None,
    typer.Option("--negative-prompt", help="What the video is not to show; short for --set negative_prompt=..."),
]
CutPrompt = Annotated[
    bool, typer.Option("--cut-prompt", help="Cut prompts that are longer than the model reads, and say so.")
]
Pairs = Annotated[
    list[str] | None,
    typer.Option(
        "--pair",
        metavar="SUBJECT=TARGET",
        help="A word of the source prompt and the word of the prompt that takes its motion, again and again.",
    ),
]
Subjects = Annotated[
    list[str] | None,
    typer.Option(
        "--subject", metavar="WORD", help="A word of the source prompt whose motion is taken, again and again."
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target", metavar="WORD", help="A word of the prompt that takes a subject's motion, in the subjects' order."
    ),
]
RunFolder = Annotated[
    Path | None,
    typer.Option(
        "--run",
        metavar="FOLDER",
        help="For methods that tune: keep checkpoint, losses and previews here. By default a checkpoint is kept beside the cache "
        "until the motion is there.",
    ),
]
Previews = Annotated[
    int | None,
    typer.Option(
        "--previews", metavar="N", parser=whole(0, 100), help="Videos sampled into --run while tuning; by default four."
    ),
]
Strength = Annotated[
    str | None,
    typer.Option(
        "--strength", metavar="X", help="How much of what was tuned is added, 0 to 1.5; short for --set strength=X."
    ),
]
Mixed = Annotated[
    list[str] | None,
    typer.Option(
        "--mix", metavar="MOTION=STRENGTH", help="Another tuned motion whose adapter is added, again and again."
    ),
]
Slower = Annotated[
    int,
    typer.Option(
        "--slower",
        metavar="N",
        parser=whole(1, 8),
        help="Read every Nth frame only, so that the frames cover N times the time; --interpolate fills them in.",
    ),
]
Interpolate = Annotated[
    int | None,
    typer.Option("--interpolate", metavar="N", parser=whole(2, 8), help="Make every frame into N, by a model."),
]
Between = Annotated[
    str | None,
    typer.Option("--between", metavar="MODEL", help="The model that makes frames between; by default --model."),
]
Upscale = Annotated[bool, typer.Option("--upscale", help="Double rows and columns, by the bundled stage.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="A setting of the method, again and again; see motionlift methods."
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, ...")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the record alone, as JSON.")]


def size_of(text: str | None) -> tuple[int, int] | None:
    """Width and height from ``--size WIDTHxHEIGHT``."""
    if text is None:
        return None
    from motionlift.core.settings import read_size

    size = read_size(text)
    if size is None:
        raise SettingError(f"--size is {text[:40]!r}; give WIDTHxHEIGHT in pixels, such as 832x480")
    return size


def values_of(pairs: Sequence[str] | None, **shorthands: str | Sequence[str] | None) -> dict[str, Any]:
    """Settings from ``--set`` and from the options that are short for one."""
    from motionlift.core.settings import assignments

    values: dict[str, Any] = dict(assignments(pairs or ()))
    for name, value in shorthands.items():
        if value is None:
            continue
        if name in values:
            raise SettingError(
                f"{name} is given by an option of its own and by --set {name}={values[name]}; give it once"
            )
        values[name] = value
    return values


def pairs_of(pairs: Sequence[str] | None) -> dict[str, list[str] | None]:
    """Subjects and targets from ``--pair SUBJECT=TARGET``."""
    split = [pair.partition("=")[::2] for pair in pairs or ()]
    for pair, (subject, target) in zip(pairs or (), split, strict=True):
        if not subject.strip() or not target.strip():
            raise SettingError(f"--pair is {pair!r}; give SUBJECT=TARGET, such as --pair star=ring")
    return {"subjects": [pair[0] for pair in split] or None, "targets": [pair[1] for pair in split] or None}


def mixed_of(pairs: Sequence[str] | None) -> list[tuple[Path, float]]:
    """Motion files and strengths from ``--mix MOTION=STRENGTH``; without a strength it is 1."""
    found = []
    for pair in pairs or ():
        path, equals, strength = pair.rpartition("=")
        try:
            found.append((Path(path), float(strength)) if equals else (Path(pair), 1.0))
        except ValueError as error:
            raise SettingError(f"--mix is {pair!r}; give MOTION=STRENGTH, such as walk.safetensors=0.5") from error
    return found
