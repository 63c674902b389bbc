"""What is looked at before PyTorch is imported, so that a slip costs half a second and not ten."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from motionlift.cli.planned import IS_ASKED
from motionlift.core.meant import meant
from motionlift.core.places import check_no_address, check_there
from motionlift.core.presets import FAST, PAPER, RELEASED, Preset, check_published
from motionlift.environment import check_processes
from motionlift.errors import ModelError, SettingError

DTYPES = ("auto", "bf16", "fp16", "fp32")
"""Types of numbers, as :mod:`motionlift.models.precision` has them."""
SHARING = (2, 1024)
"""Fewest and most processes that share a sequence (ours: more than any published model has heads)."""
ENLARGED = "tiny-dit"
"""The bundled model of the world from which the stage of ``--upscale`` learned."""
FROM_TEXT = ("tiny-dit", "tiny-unet")
"""The bundled models whose videos begin with no picture."""
PUBLISHED: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("ditflow", "motionmatcher"), (FAST, PAPER, RELEASED)),
    **dict.fromkeys(("injection", "moft", "none", "smm", "vmc"), (PAPER, RELEASED)),
    "flowmotion": (FAST, PAPER),
    "inverted": (),
    "motiondirector": (RELEASED,),
    "motionflow": (PAPER,),
}
"""The presets of each method beside ours, as the methods have them."""
UNREDUCED = ("tiny-dit",)
"""Models with which VMC does not reduce the source prompt by itself, as the method has them."""
DEVICES = ("auto", "cpu", "cuda", "mps", "xpu", "hpu", "mtia", "meta")
"""Kinds of devices that PyTorch may find; whether it does, it says."""
FIGURES = (
    *("motion_fidelity", "motion_fidelity_moving", "moving_share", "followed_reference", "followed_generated"),
    *(
        "motion_fidelity_legacy",
        "motion_discrepancy",
        "clip_text",
        "clip_frames",
        "image_reward",
        "temporal_consistency",
    ),
    *(
        "ssim",
        "lpips",
        "histogram",
        "aligned_error",
        "absolute_error",
        "direction_cosine",
        "seen_share",
        "colour",
        "shape",
    ),
    *("background", "looks_leaked"),
)
"""Figures of one video, as :func:`motionlift.measure.score.figure_names` has them."""
TRACKERS = ("flow", "lucas-kanade", "cotracker")
"""Trackers, as :data:`motionlift.measure.trackers.TRACKERS` has them."""
WEIGHED = "cotracker"
"""The one of them that takes weights."""


def model_name(given: str) -> str:
    """A model, refused where its name can be none; the hub is not asked."""
    from motionlift.models.sources import ON_HUB, check_name

    base, plus, adapter = _text(given).partition("+")
    for part in (base, adapter):
        if not ON_HUB.match(part):
            check_no_address(part, "give its folder, or a name on the hub")
    on_hub = ON_HUB.match(adapter)
    if plus and on_hub:
        raise ModelError(f"model {given[:200]!r} is not to be had (did you mean {base}+{on_hub[1]}?)")
    check_name(given)
    return given


def dtype(given: str) -> str:
    """A type of numbers."""
    if given not in DTYPES:
        raise SettingError(f"--dtype is {given[:40]!r}{meant(given, DTYPES)}; allowed are {', '.join(DTYPES)}")
    return given


def device(given: str) -> str:
    """A device, such as ``cuda:1``."""
    kind, colon, number = given.partition(":")
    if kind not in DEVICES or (colon and not number.isdecimal()):
        raise SettingError(
            f"--device {given[:40]!r} is not there{meant(kind, DEVICES)}; allowed are auto, cpu, and cuda or mps where PyTorch "
            "finds one"
        )
    return given


def memory(given: str) -> str:
    """A size of memory, such as ``12GB``."""
    from motionlift.core.memory import read_memory

    try:
        read_memory(given)
    except SettingError as error:
        raise SettingError(f"--{error}") from error
    return given


def weights(given: str) -> str:
    """How weights are held, whose package is installed."""
    from motionlift.core.memory import Weights, check_quantizer

    if given not in tuple(Weights):
        raise SettingError(
            f"--weights is {given[:40]!r}{meant(given, tuple(Weights))}; allowed are {', '.join(Weights)}"
        )
    check_quantizer(Weights(given))
    return given


def check_held(model: str, weights: str | None, compiled: bool = False) -> None:
    """Refuse to hold a bundled model's weights by a quantizer, and to compile a network whose weights change.

    Raises:
        SettingError: that is asked for.
    """
    from motionlift.core.memory import QUANTIZERS, Weights
    from motionlift.models.sources import BUNDLED_MODELS

    if weights in QUANTIZERS and model in BUNDLED_MODELS:
        raise SettingError(f"{model} is small, and no quantizer holds its weights: leave --weights {weights} out")
    if compiled and weights not in (None, Weights.OWN):
        raise SettingError(
            f"--weights {weights} changes weights while a pass runs, which --compile cannot: leave one out"
        )


def parallel(given: str) -> int:
    """How many processes share a sequence, of ``context=N``."""
    kind, _, number = given.partition("=")
    low, high = SHARING
    if kind != "context" or not (number.isascii() and number.isdecimal() and low <= int(number[:9]) <= high):
        raise SettingError(
            f"--parallel is {given[:40]!r}; give context=N, as context=2, with a whole number N from {low} to {high}"
        )
    return int(number)


def check_started(parallel: int | None) -> None:
    """Refuse to share among other processes than were started; a command that is only planned is planned as one process.

    Raises:
        SettingError: there are more or fewer, or the environment makes no sense.
    """
    if parallel is not None and not IS_ASKED.get():
        check_processes(parallel)


def method_name(given: str) -> str:
    """A method, refused where there is none of its name."""
    settings_of(_text(given))
    return given


def figures(given: str) -> str:
    """Names of figures with commas between them."""
    names = [name.strip() for name in given.split(",") if name.strip()]
    unknown = [name for name in names if name not in FIGURES and not _is_added(name)]
    if unknown or not names:
        came = ", ".join(f"{name[:40]!r}{meant(name, FIGURES)}" for name in unknown[:3]) or "no name"
        raise SettingError(f"--metrics: {came} came; allowed are {', '.join(FIGURES)}")
    return given


def _is_added(figure: str) -> bool:
    """Whether a file of metrics names it, as one that was added does; whether it is a figure is then said later."""
    files = (Path(__file__).parents[1] / "measure").glob("*.py")
    return any(f'"{figure}"' in place.read_text(encoding="utf-8") for place in files)


def tracker(given: str) -> str:
    """How points are followed."""
    if given not in TRACKERS:
        raise SettingError(f"--tracker is {given[:40]!r}{meant(given, TRACKERS)}; allowed are {', '.join(TRACKERS)}")
    return given


def check_tracking(tracker: str, weights: Path | None) -> None:
    """Refuse weights for a tracker that takes none, and those that are not there.

    Raises:
        SettingError: the tracker takes none.
        InputError: they are not there.
    """
    if weights is None:
        return
    if tracker != WEIGHED:
        raise SettingError(
            f"--tracker-weights are for --tracker {WEIGHED}, and --tracker is {tracker}, which takes none"
        )
    check_there(weights, "give CoTracker's weights, as --tracker-weights FILE")


def settings_of(method: str) -> type[Any]:
    """The settings of a method, of which PyTorch is imported only where it keeps them in its own file.

    Raises:
        SettingError: there is no such method.
    """
    from motionlift import settings

    own = settings.settings_of(method)
    if own is not None:
        return own
    from motionlift.methods import method as method_named

    return method_named(method).Settings


def check_preset(method: str, preset: str | None) -> None:
    """Refuse a preset that a method lacks; of one whose presets are not known here, that is said later.

    Raises:
        SettingError: it lacks it.
    """
    if preset is not None and method in PUBLISHED:
        check_published(preset, method, dict.fromkeys(PUBLISHED[method], Preset({})))


def check_begun(model: str, picture: Path | None) -> None:
    """Refuse a picture for a bundled model that begins with none, in the words in which it does itself once it is read.

    Raises:
        SettingError: so it is.
    """
    if picture is not None and model in FROM_TEXT:
        raise SettingError(
            f"{model} makes videos from text alone: leave the picture out, or take a model that begins with one, such as Wan 2.2 "
            "TI2V or LTX-Video"
        )


def every_settings() -> dict[str, type[Any]]:
    """The settings of every method."""
    from motionlift import settings

    if settings.in_one_file():
        from motionlift.methods import methods

        return {name: method.Settings for name, method in methods().items()}
    return {name: settings_of(name) for name in settings.known()}


def check_words(method: str, values: Mapping[str, Any], model: str) -> None:
    """Refuse to lift with words that lack, or do not go together.

    Args:
        method: its name.
        values: settings that were given, as their types have them.
        model: the model that is asked for.

    Raises:
        InputError: a source prompt that is to be reduced to subject and action has none.
        SettingError: words lack, or do not go together; or what reduces them is not installed.
    """
    own = settings_of(method)(**values)
    own.check_words()
    is_known = model not in UNREDUCED and not Path(model).expanduser().is_dir()  # what is in a folder is seen later
    if values.get("reduced", is_known and getattr(own, "reduced", False)) and not own.tuning_prompt:
        from motionlift.methods.captions import subject_and_action

        subject_and_action(own.source_prompt)


def foretell(
    model: str,
    prompt: str | None = None,
    frames: int | None = None,
    upscale: bool = False,
    size: tuple[int, int] | None = None,
) -> list[str]:
    """Say what a bundled model cannot paint or enlarge, and that a length is far beyond it, and give what was said.

    Raises:
        ModelError: it is no bundled one, nothing of it is kept here, and the hub does not give it.
        SettingError: a length, or a width and height, that do not fit a bundled one.
    """
    from motionlift.cli.terminal import notice
    from motionlift.models.sources import check_had
    from motionlift.work.foreseen import check_shape, foreseen

    check_had(model, lambda line: notice([line]))
    check_shape(model, frames, size)
    lines = foreseen(model, prompt, frames)
    if upscale and prompt is not None:
        lines += _never_enlarged(prompt)
    notice(lines)
    return lines


def _never_enlarged(prompt: str) -> list[str]:
    """A line where a prompt names things or grounds that the stage of ``--upscale`` has never seen."""
    from motionlift.models.sources import DEFAULT_MODEL
    from motionlift.models.words import bare
    from motionlift.work.foreseen import learned_of, words_of

    later = set(words_of(DEFAULT_MODEL)) - set(words_of(ENLARGED))
    named = {*learned_of("things", later), *learned_of("grounds", later)}
    strange = list(dict.fromkeys(word for each in prompt.split() if (word := bare(each).casefold()) in named))
    if not strange:
        return []
    return [
        "tiny-upscaler has learned coloured shapes on patterned backgrounds alone; it has never seen "
        f"{', '.join(strange)}, and may draw their detail wrongly"
    ]


def _text(given: str) -> str:
    """What was typed, refused where its bytes are no text."""
    try:
        given.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter(f"{given[:40]!r} came; allowed is text in UTF-8") from None
    return given
