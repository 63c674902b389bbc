"""Methods beside the strongest control: what carries motion beyond it, and what does not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from motionlift.bench.frozen import FROZEN
from motionlift.bench.report.catalogue import MOTION, figure, shown
from motionlift.bench.report.estimates import SHARES, Estimate, estimate
from motionlift.bench.report.summary import Measurement, Pair, Section, paired
from motionlift.core.sampler_names import OWN

CONTROLS = (FROZEN, "none", "injection", "inverted")
"""Methods that optimise and tune nothing: a video that does not move, plain sampling, injection, the reference's noise alone."""
OF_NOISE = ("none", "inverted")
"""Those that do nothing but begin with a share of the reference's noise, where they do."""
PLAIN = "none"
"""Title of plain sampling, which knows nothing of the reference."""
LOOKS = ("looks", "looks_leaked", "ssim")
"""Figures of looks that are read beside motion."""
TAUGHT: Mapping[str, str] = {
    "tiny-dit": (
        "tiny-dit was taught what DiTFlow takes for granted, since the attention of so small a model knows little of motion by "
        "itself: that of block 4, which DiTFlow reads, also where its reference is optical flow, had to find in every other frame "
        "what it looks at in this one. What DiTFlow gains here says nothing of models that were not taught it. SMM and MOFT read "
        "features of the same block, and the tokens before it had to tell what they show and where; of what VMC, MotionMatcher, "
        "MotionFlow and FlowMotion read, nothing of the kind was asked."
    ),
    "tiny-unet": (
        "tiny-unet was taught what DiTFlow and MotionFlow take for granted, since the attention of so small a model knows little "
        "of motion and of names by itself: that of layer 2 over places, which DiTFlow reads, had to find its matches in other "
        "frames, and that of all layers to the words, which MotionFlow reads, and MotionMatcher in part, had to lie on what they "
        "name. What these gain here says nothing of models that were not taught it. SMM and MOFT read features of layer 2, and the "
        "tokens before it had to tell what they show and where; of what VMC and FlowMotion read, nothing of the kind was asked."
    ),
    "tiny-wan": (
        "tiny-wan was taught nothing that one of the methods takes for granted: nothing was asked of its attention. The tokens in "
        "the middle of the network had to tell what they show and where, and half of the captions of its videos name the motion."
    ),
}
"""What the bundled models were taught of what methods take for granted (``docs/decisions``, 16, 23 and 51)."""

Groups = Mapping[str, Sequence[Measurement]]
Noise = tuple[Any, ...]


@dataclass(frozen=True)
class Standing:
    """Where a method stands."""

    title: str
    """The method with its settings."""
    mean: Estimate
    """Of the section's figure of motion."""
    strongest: Pair
    """Less the strongest control."""
    noise: Pair | None
    """Less the noise that it begins with, by itself, where it begins with some of the reference's, or is asked for none of it."""
    others: Sequence[Pair]
    """Less the strongest control in the other figures of motion, as far as they are known."""
    looks: Sequence[Pair]
    """Less the strongest control in looks, as far as they are known."""


@dataclass(frozen=True)
class Standings:
    """Where the methods of a section stand."""

    figure: str
    """The figure of motion."""
    control: str
    """Title of the strongest control: the one whose mean is best, of those with most references."""
    control_mean: Estimate
    """Its mean."""
    control_looks: Sequence[Pair]
    """That control less plain sampling in looks, as far as they are known: what it shows of the reference itself."""
    lines: Sequence[Standing]
    """A line for each method that is no control, in their order."""
    taught: str
    """What the model was taught of what methods take for granted, in sentences; nothing where that is not known."""


def standings(section: Section) -> Standings | None:
    """Where methods stand; None where there is no control, or no figure of motion that it and a method have."""
    groups: dict[str, list[Measurement]] = {}
    for each in section.measurements:
        if each.error is None:
            groups.setdefault(each.title, []).append(each)
    controls = {title: group for title, group in groups.items() if group[0].record["method"] in CONTROLS}
    name = next((name for name in MOTION if any(_mean(group, name) for group in controls.values())), None)
    if name is None:
        return None
    control, mean = _strongest(controls, name)
    lines = [
        line
        for title, group in groups.items()
        if title not in controls and (line := _standing(title, groups, name, control)) is not None
    ]
    if not lines:
        return None
    looks = _pairs(control, PLAIN, groups, LOOKS) if PLAIN in groups and control != PLAIN else []
    model, *_ = section.model.split(" + ")  # adapters of others may stand in its weights
    return Standings(name, control, mean, looks, lines, TAUGHT.get(model, ""))


def _mean(group: Sequence[Measurement], name: str) -> Estimate | None:
    known = [each for each in group if name in each.figures]
    within = SHARES if figure(name).share else None
    return estimate([each.figures[name] for each in known], [each.group for each in known], within)


def _strongest(controls: Groups, name: str) -> tuple[str, Estimate]:
    means = {title: mean for title, group in controls.items() if (mean := _mean(group, name)) is not None}
    most = max(mean.groups for mean in means.values())
    whole = {title: mean for title, mean in means.items() if mean.groups == most}
    return max(whole.items(), key=lambda item: figure(name).better * item[1].mean)


def _standing(title: str, groups: Groups, name: str, control: str) -> Standing | None:
    mean, strongest = _mean(groups[title], name), _pair(title, control, groups, name)
    if mean is None or strongest is None:
        return None
    alone = _noise_alone(title, groups)
    noise = None if alone is None else _pair(title, alone, groups, name)
    others = _pairs(title, control, groups, [each for each in MOTION if each != name])
    return Standing(title, mean, strongest, noise, others, _pairs(title, control, groups, LOOKS))


def _noise_alone(title: str, groups: Groups) -> str | None:
    """The control that begins as a method does, and does nothing else; plain sampling where it is asked for fresh noise."""
    if groups[title][0].record["settings"].get("beta") == 0:
        return PLAIN if PLAIN in groups else None
    own = noise_of(groups[title])
    alone = (
        other for other, group in groups.items() if group[0].record["method"] in OF_NOISE and noise_of(group) == own
    )
    return None if own is None else next(alone, None)


def _pairs(title: str, baseline: str, groups: Groups, names: Sequence[str]) -> list[Pair]:
    """In several figures, those that both have."""
    return [pair for name in names if (pair := _pair(title, baseline, groups, name)) is not None]


def _pair(title: str, baseline: str, groups: Groups, name: str) -> Pair | None:
    found = paired(groups[title], groups[baseline], name)
    return None if found is None else Pair(title, baseline, name, found)


def noise_of(group: Sequence[Measurement]) -> Noise | None:
    """What of the reference's noise the videos of a method begin with, and what is done with it.

    How much, inverted with which prompt, in how many steps; how a step is taken from there; and which network inverted.

    None where they begin with none, with another from cell to cell, or where their records do not say.
    """
    found = {_noise(each.record.get("all_settings")) for each in group}
    return found.pop() if len(found) == 1 else None


def _noise(settings: Any) -> Noise | None:
    if not isinstance(settings, dict) or not settings.get("inversion") or not settings.get("beta"):
        return None
    by_caption = bool(settings.get("source_prompt")) and settings.get("inverted_with") != "empty"
    prompt = "caption" if by_caption else "empty prompt"
    how = settings.get("sampler", OWN), settings.get("inverted_by", "model")
    return float(settings["beta"]), prompt, settings.get("steps"), *how


def failures(found: Standings) -> Iterator[str]:
    """Sentences on what carried no motion beyond the strongest control, or beyond its noise, or takes looks along.

    What the model was taught comes first, and what is worse in other figures of motion is told too.
    """
    title = figure(found.figure).title
    if found.taught:
        yield found.taught
    strongest = f"{found.control} ({shown(found.figure, found.control_mean.mean)})"
    pairs = [line.strongest for line in found.lines]
    for verdict, said in (("worse", "Worse than"), ("unclear", "Not told apart from")):
        listed = ", ".join(_told(pair) for pair in pairs if pair.verdict == verdict)
        if listed:
            yield f"{said} the strongest control, {strongest}, in {title}: {listed}."
    noises = [line.noise for line in found.lines if line.noise is not None and line.noise.verdict != "better"]
    if noises:
        listed = ", ".join(f"{_told(pair)}, beside {pair.baseline}" for pair in noises)
        yield f"No better in {title} than the noise that it begins with, alone: {listed}."
    besides = [pair for line in found.lines for pair in (*line.others, *line.looks)]
    for name in (*MOTION, *LOOKS):
        listed = ", ".join(_told(pair) for pair in besides if pair.figure == name and pair.verdict == "worse")
        if listed:
            yield f"Worse than {found.control} in {figure(name).title}: {listed}."
    for pair in found.control_looks:
        if pair.verdict == "worse":
            yield f"The strongest control is itself worse than {PLAIN} in {figure(pair.figure).title}: {_told(pair)}."


def _told(pair: Pair) -> str:
    difference = pair.difference
    points = " points" if figure(pair.figure).share else ""
    return f"{pair.title} ({shown(pair.figure, difference.mean, True)}{points}, p {difference.p:.2g})"
