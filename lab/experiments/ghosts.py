"""Ghosts: what becomes of frames that lie between latent frames, in true clips, in plain sampling, and in guided sampling.

Smear may come from the autoencoder, from the network, or from guidance. So that the three can be told apart, true clips are sent
through the autoencoder as slow and as fast as what is sampled; true latents are noised and denoised again without any method; and
latents of pictures that stand still are put together, which is how latents look that know nothing of motion within their frames.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from lab.evidence import finished
from lab.experiments.between import UNKNOWN_PERIOD, Stretch, period_of, seen_of, shared_out, stretches
from lab.training.worlds import faster
from motionlift.bench.records import or_nan
from motionlift.bench.references import (
    bundled,
    clip_of,
    figures,
    named_prompt_scene,
    named_reference,
    prompt_scene,
    reference,
    words_of,
)
from motionlift.bench.report.estimates import FEWEST, estimate
from motionlift.bench.report.tables import estimate_text, interval, table
from motionlift.core.model import Model
from motionlift.core.tensors import Latents
from motionlift.errors import MotionError, SettingError
from motionlift.loops.sample import Casting, guided_output
from motionlift.loops.sample import cast as sampling
from motionlift.methods import method as method_named
from motionlift.video.clip import Clip
from motionlift.work.lift import lift
from motionlift.work.prepare import settings_for
from motionlift.world import scenes
from motionlift.world.judge import judge_of
from motionlift.world.named import named_vocabulary

NAME = "ghosts"
COUNT = 8
WORLDS: Mapping[str, Mapping[str, Any]] = {"Ghosts": {}, "Ghosts, of things that have names": {"world": "things"}}
"""Title and cells of each world: shapes on plain grounds, and things on grounds of models that know their names."""
BINS = (0.0, 2.0, 5.0, 10.0, math.inf)
"""Bounds of the table over speed, pixels from one latent frame to the next (ours)."""
SPEEDS = (0, 1, 2, 4)
"""Of true clips, times their own: at 2 and 4 the object goes to and fro."""
METHODS: Mapping[str, str] = {
    "plain sampling": "none",
    "DiTFlow": "ditflow",
    "FlowMotion": "flowmotion",
    "MotionFlow": "motionflow",
}
GUIDANCE: Mapping[str, Mapping[str, Any]] = {"": {}, ", guidance scale 1": {"cfg": 1.0}}
"""With the model's guidance scale, and with the prompt alone."""
NOISED: Sequence[tuple[int, float]] = ((1, 0.34), (1, 0.67), (2, 0.34), (2, 0.67))
"""Speeds of true clips that are noised, and share of the steps that is left out of their denoising: about a third is where DiTFlow
ends its guidance on tiny-dit."""
RUNS: Mapping[str, Mapping[str, Any]] = {
    **{f"true clips, speed {speed}": {"kind": "true", "speed": speed} for speed in SPEEDS},
    **{f"pictures at rest, put together, speed {speed}": {"kind": "stills", "speed": speed} for speed in (1, 2)},
    **{
        f"true clips, speed {speed}, denoised from {after:.0%} of the steps on": {
            "kind": "denoised",
            "speed": speed,
            "after": after,
        }
        for speed, after in NOISED
    },
    **{
        f"{title}{weight}": {"kind": "sampled", "method": method, "settings": dict(settings)}
        for title, method in METHODS.items()
        for weight, settings in GUIDANCE.items()
    },
}
"""A cell for each, by its title on the page."""
KINDS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "true clips": lambda record: record["kind"] == "true",
    "pictures at rest, put together": lambda record: record["kind"] == "stills",
    "true clips, noised and denoised": lambda record: record["kind"] == "denoised",
    "plain sampling": lambda record: record.get("method") == "none",
    **{
        title: lambda record, method=method: record.get("method") == method
        for title, method in METHODS.items()
        if method != "none"
    },
}
"""Rows of the tables over speed and over place, which take runs of a kind together."""
HEAD = (
    *(
        "",
        "videos",
        "pixels a latent frame",
        "sharpness of all",
        "between",
        "first between",
        "certainty between, points",
    ),
    *("first between, less that of true clips", "aligned error"),
)
LATENTS = (
    "",
    "change of latents",
    "lost by a round trip, %",
    "left of true latents, %",
    "the same, channels scaled, %",
)
"""Titles of the tables over runs: of their frames, and of their latents."""


def cells(count: int) -> list[dict[str, Any]]:
    """One for each world, reference and run."""
    return [
        {**world, "index": index, **run} for world in WORLDS.values() for index in range(count) for run in RUNS.values()
    ]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Make the latents, decode them, and look at every frame; or why the model cannot."""
    backbone = bundled(model)
    is_named = "world" in cell
    if is_named and not set(backbone.text.known_words()).issuperset(named_vocabulary()):
        return {"refused": "it has no words for things"}
    try:
        latents = MAKERS[cell["kind"]](cell, backbone)
    except (SettingError, MotionError) as error:
        return {"refused": str(error)}
    shape = backbone.about.shape
    frames = Clip.from_pixels(backbone.codec.decode(latents), backbone.about.fps).frames
    again = _encoded(frames, backbone)
    scene, wanted = asked(cell, shape.frames)
    return {
        "period": period_of(len(frames), latents.shape[2]),
        **seen_of(judge_of(is_named), frames),
        "change": float(latents.diff(dim=2).square().mean().sqrt() / latents.std()),
        "lost": float((again - latents).norm() / latents.norm()),
        **(within(_rendered(cell, backbone), backbone) if cell["kind"] == "stills" else {}),
        **({"aligned": figures(frames, scene, wanted)["aligned_error"]} if cell["kind"] == "sampled" else {}),
    }


def asked(cell: Mapping[str, Any], frames: int) -> tuple[scenes.Scene, scenes.Scene]:
    """The reference of a cell, and the scene of its prompt, in the cell's world."""
    index = cell["index"]
    if "world" in cell:
        return named_reference(index, frames), named_prompt_scene(index, frames=frames)
    return reference(index, frames), prompt_scene(index, frames=frames)


def true_scene(scene: scenes.Scene, wanted: scenes.Scene, speed: int) -> scenes.Scene:
    """What the prompt shows, moving as the reference does: what a method is asked for; faster, it goes to and fro."""
    looks = replace(scene.objects[0], shape=wanted.objects[0].shape, colour=wanted.objects[0].colour)
    return faster(replace(scene, objects=(looks,), background=wanted.background), speed)


def _encoded(frames: torch.Tensor, model: Model) -> Latents:
    return model.codec.encode(frames.permute(0, 3, 1, 2).float() / 127.5 - 1)


def _rendered(cell: Mapping[str, Any], model: Model) -> torch.Tensor:
    return scenes.render([true_scene(*asked(cell, model.about.shape.frames), cell["speed"])]).frames[0]


def _true(cell: Mapping[str, Any], model: Model) -> Latents:
    return _encoded(_rendered(cell, model), model)


def _stills(cell: Mapping[str, Any], model: Model) -> Latents:
    """Every latent frame is that of a clip that shows the last of its frames throughout."""
    return _at_rest(_rendered(cell, model), model, 0)


def _at_rest(frames: torch.Tensor, model: Model, before: int) -> Latents:
    """Latent frames of clips that each show one frame throughout: so many before the one that falls on the latent frame."""
    latent = model.codec.latent_shape(model.about.shape)[2]
    period = period_of(len(frames), latent)
    shown = [max(period * number - before, 0) for number in range(latent)]
    parts = [
        _encoded(frames[place].expand_as(frames), model)[:, :, number : number + 1]
        for number, place in enumerate(shown)
    ]
    return torch.cat(parts, dim=2)


def within(frames: torch.Tensor, model: Model) -> dict[str, float]:
    """Share of the variance of a clip's latents that tells of motion within their frames.

    It is what is left when of every latent frame the nearest is taken away that a clip at rest has, of those that show one of its
    frames. The first, which stands for a single frame, is left out.

    Returns:
        ``within``, of all channels together, and ``within_scaled``, where each is first divided by its own deviation.
    """
    own = _encoded(frames, model)
    resting = [_at_rest(frames, model, before) for before in range(period_of(len(frames), own.shape[2]))]
    found = {}
    for name, scale in (("within", own.std()), ("within_scaled", own.std(dim=(0, 2, 3, 4), keepdim=True))):
        apart = torch.stack([((own - each) / scale).square().mean(dim=(0, 1, 3, 4)) for each in resting])
        found[name] = float(apart.amin(dim=0)[1:].mean())
    return found


@torch.no_grad()
def _denoised(cell: Mapping[str, Any], model: Model) -> Latents:
    """True latents, noised to a level and sampled on with their caption."""
    settings, clean = method_named("none").settings(model), _true(cell, model)
    schedule = model.schedule(settings.steps, model.about.shape)
    first = round(cell["after"] * len(schedule))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(cell["index"]))
    prompt = asked(cell, model.about.shape.frames)[1].caption()
    conditions = model.text.encode("", model.about.shape), model.text.encode(prompt, model.about.shape)
    latents = schedule.noised(clean, noise, schedule.levels[first])
    with model.turn():
        for index in range(first, len(schedule)):
            output = guided_output(model, latents, schedule.levels[index], conditions, settings.cfg)
            latents = schedule.step(index, output, latents)
    return latents


def _sampled(cell: Mapping[str, Any], model: Model) -> Latents:
    """Lifted and cast, the seed is the reference's number."""
    index, name, shape = cell["index"], cell["method"], model.about.shape
    scene, wanted = asked(cell, shape.frames)
    values = {**cell["settings"], **words_of(name, scene, wanted)}
    motion = lift(clip_of(scene, model.about.fps), model, name, settings=values)
    method = method_named(name)
    casting = Casting(
        model, method, settings_for(method, model, values), motion.tensors, shape, wanted.caption(), index
    )
    return finished(sampling(casting)).latents


MAKERS: Mapping[str, Callable[[Mapping[str, Any], Model], Latents]] = {
    "true": _true,
    "stills": _stills,
    "denoised": _denoised,
    "sampled": _sampled,
}
"""Where latents come from, by the kind of a cell."""


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """Of each world tables of every run, over speed, and over the place of frames."""
    known = [record for record in records if "refused" not in record]
    parts = []
    for title, world in WORLDS.items():
        own = [record for record in known if record.get("world") == world.get("world")]
        parts += [_of_world(title, own)] if own else []
    return "\n".join(parts)


def _of_world(title: str, found: Sequence[Mapping[str, Any]]) -> str:
    """The tables of one world."""
    period = max((record["period"] for record in found), default=1)
    text = f"## {title}\n\n{_explained(len({record['index'] for record in found}), period)}"
    kinds = [title for title, belongs in KINDS.items() if any(map(belongs, found))]
    runs = [(title, chosen) for title, run in RUNS.items() if (chosen := _chosen(run, found))]
    text += table(HEAD, [_of_frames(title, chosen, found) for title, chosen in runs])
    text += "\n" + table(LATENTS, [_of_latents(title, chosen) for title, chosen in runs])
    text += "\nSharpness of the first frame between by the speed of the object, in pixels from one latent frame to the next; "
    text += "in how many stretches of how many references:\n\n"
    text += table(["", *map(_bin_title, range(len(BINS) - 1))], [_by_speed(title, found) for title in kinds])
    places = period if period > 1 else UNKNOWN_PERIOD
    text += "\nShare of an object's way from one latent frame to the next that is gone with each frame, %:\n\n"
    return text + table(
        ["", *(str(place + 1) for place in range(places))], [_by_place(title, found, places) for title in kinds]
    )


def _explained(references: int, period: int) -> str:
    """What the runs and the columns are."""
    alike = (
        f"A latent frame stands for {period} frames."
        if period > 1
        else f"Every latent frame stands for one frame, so that all are alike; every {UNKNOWN_PERIOD}th counts as if it were not."
    )
    counted = f"{references} {'references' if references > 1 else 'reference'}"
    return (
        f"{counted}. {alike} True clips show what the prompt says in the reference's motion, and are sent through "
        "the autoencoder; at speed 0 they stand still. *Pictures at rest* have, of the same clips, the latent frames of clips in "
        "which nothing moves. Intervals of 95 % go over videos (in the second table over references); of fewer than "
        f"{FEWEST} videos the single ones are shown. The first latent frame, which stands for one frame, is left "
        "out.\n\n"
        "- *sharpness of all*: steepness of the object's edges, less that of the true clip at rest, in doublings: -1 is half as "
        "steep. It needs the looks that the prompt asks for.\n"
        "- *between*: the same of the frames between those that fall on latent frames, less that of the two beside them;\n"
        "- *first between*: of the frame right after one that falls on a latent frame; then less that of true clips at speed 1;\n"
        "- *certainty*: probability by which the judge sees in a frame the object of the whole clip, of the same frames;\n"
        "- *change of latents*: root mean square from one latent frame to the next, over the deviation of all;\n"
        "- *round trip*: what decoding and encoding loses of latents;\n"
        "- *left of true latents*: the share of their variance that none of the pictures at rest has, neither of the latent "
        "frame's last frame nor of the others: it tells how things move within its frames; and the same where every channel is "
        "first divided by its own deviation.\n\n"
    )


NOTHING: Mapping[str, Any] = {"period": 1, "steepness": (), "certainty": (), "centres": ()}
"""Stands for a record that is not there: nothing of it is defined."""


def _chosen(run: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [record for record in records if run.items() <= record.items()]


def _mean(record: Mapping[str, Any], figure: str) -> float:
    """Mean over the stretches of a video of those that are defined."""
    values = [own for each in stretches(record) if not math.isnan(own := getattr(each, figure))]
    return sum(values) / len(values) if values else math.nan


def _level(record: Mapping[str, Any]) -> float:
    """Mean steepness of all frames in which the object is seen, but for the first, in doublings."""
    seen = [math.log2(value) for value in record["steepness"][1:] if value]
    return sum(seen) / len(seen) if seen else math.nan


def _of_frames(title: str, chosen: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]]) -> list[str]:
    """A run's row of the first table, beside true clips among all records."""
    true, rest = (
        {record["index"]: record for record in _chosen({"kind": "true", "speed": speed}, records)} for speed in (1, 0)
    )
    levels = [_level(record) - _level(rest.get(record["index"], NOTHING)) for record in chosen]
    apart = [_mean(record, "first") - _mean(true.get(record["index"], NOTHING), "first") for record in chosen]
    return [
        title,
        str(len(chosen)),
        interval([_mean(record, "pixels") for record in chosen], digits=1),
        interval(levels, digits=2),
        *(interval([_mean(record, name) for record in chosen], digits=2) for name in ("sharpness", "first")),
        interval([100 * _mean(record, "certainty") for record in chosen], digits=0),
        interval(apart, digits=2),
        interval([or_nan(record.get("aligned")) for record in chosen], digits=3),
    ]


def _of_latents(title: str, chosen: Sequence[Mapping[str, Any]]) -> list[str]:
    shares = ("lost", "within", "within_scaled")
    return [
        title,
        interval([record["change"] for record in chosen], digits=2),
        *(interval([100 * or_nan(record.get(name)) for record in chosen], digits=1) for name in shares),
    ]


def _bin_title(number: int) -> str:
    low, high = BINS[number], BINS[number + 1]
    return f"{low:g} to {high:g}" if math.isfinite(high) else f"{low:g} and more"


def _by_speed(title: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
    found = [
        (own, record["index"])
        for record in records
        if KINDS[title](record)
        for own in stretches(record)
        if not math.isnan(own.first)
    ]
    row = [title]
    for low, high in itertools.pairwise(BINS):
        within = [(own.first, index) for own, index in found if low <= own.pixels < high]
        drop = estimate([value for value, _ in within], [index for _, index in within])
        counted = (
            ""
            if drop is None
            else f"{estimate_text(drop, lambda value: f'{value:.2f}')}; {drop.values} of {drop.groups}"
        )
        row.append(counted or "-")
    return row


def _by_place(title: str, records: Sequence[Mapping[str, Any]], places: int) -> list[str]:
    found: list[Stretch] = [own for record in records if KINDS[title](record) for own in stretches(record)]
    return [title, *([f"{100 * share:.0f}" for share in shared_out(found)] or ["-"] * places)]
