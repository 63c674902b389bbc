"""The options that several commands share, each declared once, and how those that are given again and again are read."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionlift.cli import completing, early
from motionlift.core.meant import meant
from motionlift.errors import MotionError, SettingError

if TYPE_CHECKING:
    from motionlift.video.part import Part


def whole(low: int, high: int) -> Callable[[Any], int]:
    """A reader of whole numbers in a range, whose refusal names what came and what is allowed."""

    def read(given: Any) -> int:
        with suppress(ValueError):
            if low <= int(given) <= high:
                return int(given)
        raise typer.BadParameter(f"{str(given)[:40]!r} came; allowed is a whole number from {low} to {high}")

    return read


def text(given: str) -> str:
    """What was typed as text: in the C locale Python takes letters beyond ASCII for bytes, which are put together here."""
    try:
        given.encode()
    except UnicodeEncodeError:
        try:
            return os.fsencode(given).decode()
        except UnicodeError:
            raise typer.BadParameter(f"{given[:40]!r} came; allowed is text in UTF-8") from None
    return given


def prompt(given: str) -> str:
    """A prompt, refused before a model is loaded where no model could read it."""
    from motionlift.core.prompts import check_prompt

    check_prompt(text(given))
    return text(given)


MOST_SEED = 2**63 - 1
SEVERAL_PROMPTS = "--prompts"
"""The option that names a file of prompts."""
FRAMES = (2, 10_000)
"""Fewest and most frames, as :mod:`motionlift.video.limits` has them."""

RATES = (0.1, 240.0)
"""Lowest and highest frames a second, as :mod:`motionlift.video.limits` has them."""

MOST_SECONDS = 86_400.0
"""Latest start and longest duration, as :mod:`motionlift.video.part` has it."""

FITS = ("crop", "pad", "stretch")
"""How frames get another shape, as :mod:`motionlift.video.limits` has it."""


def fit(given: str) -> str:
    """A way to fit, refused before a model is loaded."""
    if given not in FITS:
        raise typer.BadParameter(f"{given[:40]!r} came{meant(given, FITS)}; allowed is {', '.join(FITS)}")
    return given


def rate(given: Any) -> float:
    """Frames a second, refused before a model is loaded."""
    with suppress(ValueError):
        if RATES[0] <= float(given) <= RATES[1]:
            return float(given)
    raise typer.BadParameter(f"{str(given)[:40]!r} came; allowed is a number from {RATES[0]:g} to {RATES[1]:g}")


def seconds(least: float) -> Callable[[Any], float]:
    """A reader of seconds, of at least so many and at most a day."""

    def read(given: Any) -> float:
        with suppress(ValueError):
            if least <= float(given) <= MOST_SECONDS:
                return float(given)
        raise typer.BadParameter(f"{str(given)[:40]!r} came; allowed are seconds from {least:g} to {MOST_SECONDS:g}")

    return read


def crop(given: str) -> str:
    """The place of a crop, refused before a model is loaded."""
    from motionlift.video.part import crop_of

    return _checked(crop_of, given, ("motion",))


def colour(given: str) -> str:
    """The name of a colour, refused before a model is loaded."""
    from PIL import ImageColor

    from motionlift.video.part import colour_of

    return _checked(colour_of, given, ImageColor.colormap)


def _checked(read: Callable[[str], object], given: str, names: Iterable[str]) -> str:
    """What was typed, where it can be read; else one of some names may have been meant."""
    try:
        read(given)
        return given
    except SettingError as error:
        raise typer.BadParameter(f"{error}{meant(given, names)}") from None


Reference = Annotated[
    Path,
    typer.Argument(
        metavar="REFERENCE",
        help="A video file, a GIF, WebP or APNG that moves, or a folder of pictures.",
        show_default=False,
    ),
]
Prompt = Annotated[
    str,
    typer.Option("--prompt", "-p", metavar="TEXT", parser=prompt, help="What the new video shows.", show_default=False),
]
MethodName = Annotated[
    str,
    typer.Option(
        "--method",
        metavar="NAME",
        parser=early.method_name,
        autocompletion=completing.methods,
        help="How motion is taken and given; see motionlift methods.",
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        parser=early.model_name,
        autocompletion=completing.models,
        help="A bundled model, a folder of a diffusers pipeline, or a hub name.",
    ),
]
Loras = Annotated[
    list[str] | None,
    typer.Option(
        "--lora",
        metavar="FILE[:WEIGHT]",
        help="An adapter that becomes part of the model, as star.safetensors:0.8, again and again; of two networks, :high, :low or "
        ":both comes last.",
    ),
]
VideoOutput = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="What to write, by its ending: .mp4, .webm, .mov (ProRes), .gif, .webp, or none for a folder of PNG. Its record goes "
        "beside it, as .json.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace what an earlier run wrote there; without it, that is refused.")
]
Seed = Annotated[
    int, typer.Option("--seed", "-s", metavar="N", parser=whole(0, MOST_SEED), help="Seed of the starting noise.")
]
Frames = Annotated[
    int | None,
    typer.Option(
        "--frames",
        metavar="N",
        parser=whole(*FRAMES),
        help="Length, to 10,000; by default the model's own, beyond which it is made in windows.",
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="WIDTHxHEIGHT",
        help="Size in pixels, such as 832x480; by default that of the model's own that is nearest to the reference's shape.",
    ),
]
Picture = Annotated[
    Path | None,
    typer.Option(
        "--picture",
        metavar="FILE",
        help="What the video begins with, for models that can, as Wan 2.2 TI2V, LTX-Video and I2V models.",
    ),
]
Steps = Annotated[str | None, typer.Option("--steps", metavar="N", help="Denoising steps; short for --set steps=N.")]
Read = Annotated[
    str | None,
    typer.Option(
        "--read",
        autocompletion=completing.values_of("read"),
        help="Where ditflow reads motion: attention or flow; short for --set read=...",
    ),
]
Sampler = Annotated[
    str | None,
    typer.Option(
        "--sampler",
        metavar="NAME",
        autocompletion=completing.values_of("sampler"),
        help="How a denoising step is taken: ddim, ddpm, dpm, dpm-sde, unipc; of flow models euler, dpm, dpm-sde, unipc; short for "
        "--set sampler=NAME.",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        autocompletion=completing.presets,
        help="Which constants: released, paper, fast, ours, as far as motionlift methods lists them; short for --set preset=NAME.",
    ),
]
SourcePrompt = Annotated[
    str | None,
    typer.Option(
        "--source-prompt",
        metavar="TEXT",
        parser=text,
        help="What the reference shows, for its inversion; short for --set source_prompt=...",
    ),
]
NegativePrompt = Annotated[
    str | None,
    typer.Option(
        "--negative-prompt",
        metavar="TEXT",
        parser=text,
        help="What the video is not to show; short for --set negative_prompt=...",
    ),
]
CutPrompt = Annotated[
    bool, typer.Option("--cut-prompt", help="Cut prompts that are longer than the model reads, and say so.")
]
Pairs = Annotated[
    list[str] | None,
    typer.Option(
        "--pair",
        metavar="SUBJECT=TARGET",
        parser=text,
        help="A word of the source prompt and the word of the prompt that takes its motion, again and again.",
    ),
]
Subjects = Annotated[
    list[str] | None,
    typer.Option(
        "--subject",
        metavar="WORD",
        parser=text,
        help="A word of the source prompt whose motion is taken, again and again.",
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="WORD",
        parser=text,
        help="A word of the prompt that takes a subject's motion, in the subjects' order.",
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
Fps = Annotated[
    float | None,
    typer.Option(
        "--fps",
        metavar="N",
        parser=rate,
        help="Frames a second at which the reference is read, and which the video has, 0.1 to 240; by default the model's own. Of "
        "a folder of pictures, how many they are a second; by default 24.",
    ),
]
Fit = Annotated[
    str | None,
    typer.Option(
        "--fit",
        metavar="HOW",
        parser=fit,
        help="How frames get the model's shape: crop, pad or stretch; by default crop, or as the preset says.",
    ),
]
Start = Annotated[
    float,
    typer.Option(
        "--start", metavar="SECONDS", parser=seconds(0), help="Where reading the reference begins, in seconds."
    ),
]
Duration = Annotated[
    float | None,
    typer.Option(
        "--duration",
        metavar="SECONDS",
        parser=seconds(0.001),
        help="Seconds of the reference that are read; by default as many as the frames take.",
    ),
]
Crop = Annotated[
    str | None,
    typer.Option(
        "--crop",
        metavar="X,Y",
        parser=crop,
        help="Where the middle of the crop lies, from 0,0 at the top left to 1,1, such as 0.3,0.5; or motion: where things move. "
        "By default the middle.",
    ),
]
Background = Annotated[
    str,
    typer.Option(
        "--background",
        metavar="COLOUR",
        parser=colour,
        help="What lies behind what is transparent in the reference: grey, white, black, ..., or #rrggbb.",
    ),
]
EveryFrame = Annotated[
    bool | None,
    typer.Option(
        "--every-frame/--by-time",
        help="Take the first frames as they come, whatever their rate; by default by time, or as the preset says.",
    ),
]
PartStart = Annotated[
    float | None,
    typer.Option(
        "--start",
        metavar="SECONDS",
        parser=seconds(0),
        help="Where the part of the reference begins, in seconds; by default as the video's record says, else 0.",
    ),
]
PartDuration = Annotated[
    float | None,
    typer.Option(
        "--duration", metavar="SECONDS", parser=seconds(0.001), help="Seconds of the reference that are taken at most."
    ),
]
PartFit = Annotated[
    str | None,
    typer.Option(
        "--fit",
        metavar="HOW",
        parser=fit,
        help="How the reference's frames get the video's shape: crop, pad or stretch; by default as the video's record says, else "
        "crop.",
    ),
]
PartCrop = Annotated[
    str | None,
    typer.Option(
        "--crop",
        metavar="X,Y",
        parser=crop,
        help="Where the middle of the reference's crop lies, from 0,0 at the top left to 1,1; or motion: where things move. By "
        "default as the video's record says, else the middle.",
    ),
]
PartBackground = Annotated[
    str | None,
    typer.Option(
        "--background",
        metavar="COLOUR",
        parser=colour,
        help="What lies behind what is transparent in the reference; by default as the video's record says, else grey.",
    ),
]
PartFps = Annotated[
    float | None,
    typer.Option(
        "--fps",
        metavar="N",
        parser=rate,
        help="Frames of every second of the reference that are taken, 0.1 to 240; by default each. Of a folder of pictures, how "
        "many they are a second.",
    ),
]
ReferenceForm = Annotated[
    str | None,
    typer.Option(
        "--reference",
        metavar="HOW",
        autocompletion=completing.values_of("reference"),
        help="How ditflow takes the reference's attention: hard or soft; short for --set reference=...",
    ),
]
Interpolate = Annotated[
    int | None,
    typer.Option("--interpolate", metavar="N", parser=whole(2, 8), help="Make every frame into N, by a model."),
]
Between = Annotated[
    str | None,
    typer.Option(
        "--between",
        metavar="MODEL",
        parser=early.model_name,
        autocompletion=completing.models,
        help="The model that makes frames between; by default --model.",
    ),
]
Upscale = Annotated[
    bool,
    typer.Option(
        "--upscale", help="Double rows and columns, by the bundled stage, which has learned coloured shapes alone."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        parser=text,
        autocompletion=completing.settings,
        help="A setting of the method, again and again; see motionlift methods.",
    ),
]
Device = Annotated[
    str, typer.Option("--device", metavar="NAME", parser=early.device, help="auto, cpu, cuda, cuda:1, mps, ...")
]
Dtype = Annotated[
    str,
    typer.Option(
        "--dtype",
        metavar="NAME",
        parser=early.dtype,
        help="What the model computes with: bf16, fp16, fp32, or auto: fp32 on a CPU, else bf16 where device and model can.",
    ),
]
Compiled = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Compile the network for sampling: a minute or more at first, then less for each step. It pays off on a GPU, and in "
        "many steps.",
    ),
]
Parallel = Annotated[
    int | None,
    typer.Option(
        "--parallel",
        metavar="context=N",
        parser=early.parallel,
        help="Share the video's tokens among N processes in each step of sampling, for Wan and LTX; accelerate launch starts them.",
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        parser=early.memory,
        help="What it may use of the device, such as 12GB or 11.5GiB; what takes more time is done so that it fits. By default "
        "what is free.",
    ),
]
HeldWeights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="HOW",
        parser=early.weights,
        help="How the network's weights are held: own, fp8, or by a quantizer that is installed: int8 or nf4 (bitsandbytes, on a "
        "GPU), torchao-int8, quanto-int8 or quanto-int4. By default own, or fp8 where nothing else fits.",
        show_default=False,
    ),
]
OnRay = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="WHERE",
        help="Work on a Ray cluster (motionlift[cluster]): local starts one on this machine, auto joins the one that is there, and "
        "HOST:PORT is its address. How many workers there are is then of all its machines.",
        show_default=False,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", help="Show no progress: no bars on a terminal, no lines for a log elsewhere. Notes and errors stay."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the record alone, as JSON.")]


def part_of(
    start: float | None, duration: float | None, crop: str | None, background: str | None, fit: str | None
) -> "Part":
    """What of a reference is read; where nothing is given, all of it on grey.

    Raises:
        SettingError: a place of a crop, and frames that are fitted otherwise.
    """
    from motionlift.video.part import GREY, Part, check_part, crop_of

    if crop is not None and fit not in (None, "crop"):
        raise SettingError(f"--crop is given, and --fit is {fit}, which crops nothing; give one of them")
    part = Part(start or 0.0, duration, None if crop is None else crop_of(crop), background or GREY)
    check_part(part, fit or "crop")
    return part


def size_of(given: str | None) -> tuple[int, int] | None:
    """Width and height from ``--size WIDTHxHEIGHT``; none where the reference's shape is to choose among the model's own."""
    if given is None or given == "auto":
        return None
    from motionlift.core.settings import read_size

    size = read_size(given)
    if size is None:
        raise SettingError(f"--size is {given[:40]!r}; give WIDTHxHEIGHT in pixels, such as 832x480, or auto")
    return size


SEVERAL = {"subject": "subjects", "target": "targets"}
"""The settings of options that are given again and again, where they are named otherwise."""


@dataclass(frozen=True)
class Given:
    """Settings as they were typed."""

    values: Mapping[str, Any]
    """By name."""
    called: Mapping[str, str]
    """The options by which they came, for messages."""
    read: Mapping[str, Any]
    """The values as the settings' types have them."""


def given_settings(method: str, assigned: Sequence[str] | None, **options: str | Sequence[str] | None) -> Given:
    """Settings from ``--set`` and from the options that are short for some.

    Args:
        method: name of the method.
        assigned: what came by ``--set``.
        options: what came by the others, None where one was not given.

    Raises:
        SettingError: an unknown method or setting, a value that is not allowed, an option that the method has no use for, or a
            setting given twice.
    """
    from motionlift.core.settings import assignments, read_values
    from motionlift.settings import check_choices

    values: dict[str, Any] = dict(assignments(assigned or ()))
    called = {name: f"--set {name}" for name in values}
    for name, given in options.items():
        if given is None:
            continue
        option = f"--{name.replace('_', '-')}"
        own = _paired(given) if name == "pair" else {SEVERAL.get(name, name): given}
        check_use(option, method, lambda kind, own=own: own.keys() <= {field.name for field in fields(kind)})
        for setting in own.keys() & values.keys():
            raise SettingError(f"{option} and --set {setting}={values[setting]} are both given; give one of them")
        values |= own
        called |= dict.fromkeys(own, option)
    _check_elsewhere(method, values)
    check_choices(early.settings_of(method), values, called)
    read = read_values(early.settings_of(method), values, called)
    early.check_preset(method, read.get("preset"))
    return Given(values, called, read)


def _check_elsewhere(method: str, named: Iterable[str]) -> None:
    """Refuse settings that only other methods have.

    Raises:
        SettingError: there is one; the methods that take it are named.
    """
    own = {field.name for field in fields(early.settings_of(method))}
    unknown = [name for name in named if name not in own]
    if not unknown:
        return
    known = {field.name for kind in early.every_settings().values() for field in fields(kind)}
    for name in unknown:
        if name in known:
            check_use(f"--set {name}", method, lambda kind, name=name: name in {field.name for field in fields(kind)})


def check_use(option: str, method: str, of_use: Callable[[type], bool]) -> None:
    """Refuse an option that a method has no use for.

    Args:
        option: as it is typed.
        method: name of the method.
        of_use: whether methods of such settings have.

    Raises:
        SettingError: it has none; the methods that have are named.
    """
    if not of_use(early.settings_of(method)):
        others = ", ".join(name for name, other in early.every_settings().items() if of_use(other))
        raise SettingError(f"{option} is of no use to {method}; methods that take it: {others}")


def is_tuned(settings: type) -> bool:
    """Whether methods of such settings tune."""
    from motionlift.core.method_settings import Tuned

    return issubclass(settings, Tuned)


def check_tuned(method: str) -> None:
    """Refuse to take an adapter out of a motion of a method that tunes none.

    Raises:
        SettingError: there is no such method.
        MotionError: it tunes none.
    """
    if not is_tuned(early.settings_of(method)):
        raise MotionError(f"a motion of {method} holds no adapter; lift one with a method that tunes, such as vmc")


def check_run(method: str, folder: Path | None, previews: int | None) -> None:
    """Refuse ``--run`` and ``--previews`` where nothing is tuned, and previews that have no place.

    Raises:
        SettingError: so it is.
    """
    for option, given in {"--run": folder, "--previews": previews}.items():
        if given is not None:
            check_use(option, method, is_tuned)
    if previews and folder is None:
        raise SettingError(f"--previews {previews} are kept in the folder of a run; name one by --run")


def _paired(pairs: str | Sequence[str]) -> dict[str, list[str]]:
    """Subjects and targets from ``--pair SUBJECT=TARGET``."""
    split = [pair.partition("=")[::2] for pair in pairs]
    for pair, (subject, target) in zip(pairs, split, strict=True):
        if not subject.strip() or not target.strip():
            raise SettingError(f"--pair is {pair!r}; give SUBJECT=TARGET, such as --pair star=ring")
    return {"subjects": [subject for subject, _ in split], "targets": [target for _, target in split]}


def mixture(word: str) -> tuple[Path, str]:
    """File and strength of one ``--mix``, as they were typed."""
    path, _, strength = word.rpartition("=") if "=" in word else (word, "", "1")
    return Path(path), strength


def mixed_of(method: str, pairs: Sequence[str] | None) -> list[tuple[Path, float]]:
    """Motion files and strengths from ``--mix MOTION=STRENGTH``; without a strength it is 1.

    Raises:
        SettingError: the method tunes nothing, or a strength is not allowed.
    """
    from motionlift.core.method_settings import Tuned
    from motionlift.core.settings import read_values

    if pairs:
        check_use("--mix", method, is_tuned)
    found = []
    for pair in pairs or ():
        path, strength = mixture(pair)
        called = {"strength": f"the strength of --mix {pair}"}
        found.append((path, read_values(Tuned, {"strength": strength}, called)["strength"]))
    return found
