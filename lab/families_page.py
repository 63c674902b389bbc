"""The page of model families: ``python -m lab.families_page`` tries every twin, keeps what was found, and writes the page from it.

``--again`` writes the page alone, from what was found before.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from lab.evidence import (
    Loss,
    difference,
    gradient,
    noise_of,
    own_pictured,
    own_video,
    picture_of,
    round_trip,
    slope_error,
    video,
)
from lab.memory import GIB, of_published
from motionlift.core.lattice import Shape
from motionlift.errors import SettingError
from motionlift.methods import methods
from motionlift.models.facts import Facts, served
from motionlift.models.families import families
from motionlift.models.unserved import NOT_SERVED
from motionlift.work.prepare import settings_for
from tests.twins import GUIDED, PICTURED, TRANSFORMERS, Twin
from tests.twins.wide import WIDE

PAGE = Path(__file__).parents[1] / "docs" / "families.md"
"""Where it lies."""
FOUND = Path(__file__).parents[1] / "docs" / "results" / "families.jsonl"
"""What was found of every twin, a line each."""
TAKEN = FOUND.with_name("memory.jsonl")
"""What published models take, a line each."""
PACKAGED = Path(__file__).parents[1] / "src" / "motionlift" / "models" / "published_memory.json"
"""The same by families, in bytes, for ``motionlift models --json``."""
STEPS = 4
"""Of the videos that are compared."""
TRIPS = (4, 24)
"""Steps of a coarse round trip and of a fine one."""
REACH = 0.02
"""How far the differences reach that slopes are compared with; ten times as far where queries and keys are rounded to bfloat16."""
HEAD = """# Model families

Written by `python -m lab.families_page`. `motionlift models` lists the same families.

## What each is

"""
COLUMNS = (
    *("family", "pipelines of diffusers", "known by name or settings", "size by default", "sizes by aspect"),
    *("rate", "steps", "guidance", "samples by", "words", "positions", "pictures", "adapters load in"),
)
"""Columns of the first table."""
EVIDENCE = """
*Sizes by aspect*: without `--size`, a video is as wide and as high as that of them whose shape is nearest to the reference's, of
those about as large as the model's own (of 480p none of 720p); *its own alone*: its models were published for one shape, and make
that of every reference. *Words*: whether attention to a word can be read, as MotionFlow needs it. *Positions*: whether they can be
optimised (`target=positions`). *Pictures*: whether a video can begin with one (`--picture`): of a TI2V or LTX model with or
without, of the pipelines named for it always, and of the others never. *Adapters*: for which readers `motionlift export` writes
what was tuned, tested against diffusers' own loaders and the names that ComfyUI's take. A scheduler of a higher order remembers
former steps; the loops here take the first order of the same levels, so that a step can be guided, turned back and asked again.

## What shows that it is right

Measured on twins: pipelines of the real classes with small random weights, on one core of a CPU in single precision. The tests hold
each figure to a bound: a hundred thousandth for videos, a hundredth for slopes.

- *video*, *with guidance*: largest difference from the video that the pipeline itself makes of the same noise in four steps (its
  own scheduler at first order, or DDIM), as a share of the largest value; with the prompt alone, and weighed by 3.
- *slope*: how far the slope of the displacement loss in the last block, along its gradient, is from that by differences.
- *recomputed*: largest difference of the gradient when activations are recomputed in the backward pass.
- *round trip*: share of clean latents that is lost by inversion and sampling, in 4 and in 24 steps; a network of random weights
  bends more than a trained one. Allegro's first level has 0.006 of the clean latents: what is said there counts 157 times as much.
- *methods*: those that run; the others are refused, with the reason.
- *lattice*, *latents*: frames, rows and columns of tokens; channels, frames, rows and columns of latents.

| twin | family | video | with guidance | slope | recomputed | round trip | methods | lattice | latents |
|---|---|---|---|---|---|---|---|---|---|
"""
TAKES = """
## Memory at true size

GiB in bfloat16, of one video at its model's own size, counted on PyTorch's meta device with fused attention: the network's
weights; beside them a pass of sampling; and a guided pass, to the queries and keys of the middle block and back to the latents,
with activations recomputed. Text encoders and autoencoders are apart: they are on the device while they are used. A blank is a
network whose sizes go by the values of a mask.

| model | width, height, frames | tokens | weights | sampling | guided |
|---|---|---|---|---|---|
"""
BREAKS = """
## What breaks in which precision

Types of numbers (`--dtype`) that are refused, with what is known. All families ran in bf16 and in fp16 on a CPU, as twins: that
says that every operation is there, and nothing of the range that published weights need. `auto` is fp32 on a CPU, else bf16 where
the device has it.

| model | type | what is known |
|---|---|---|
"""
NOT = """
## Pipelines of diffusers that are not served

| pipelines | why |
|---|---|
"""


def found_of(name: str, twin: Twin, with_picture: bool = False) -> dict[str, Any]:
    """What shows of a twin, as it reads text alone or with a picture too."""
    row, shape, own = twin.row, twin.shape, own_pictured if with_picture else own_video
    model = _model(twin, with_picture)
    noise = {"latents": noise_of(model, shape)}
    loss = Loss(model, shape, model.about.blocks - 1).of_latents
    steepest = gradient(model, loss, noise)
    reach = REACH * (10 if row.family == "kandinsky5" else 1)
    plain, weighed = (own(twin.build(), row, model, shape, STEPS, call).latents for call in ({}, twin.guided))
    return {
        "twin": f"{name}, a picture" if with_picture else name,
        "family": row.family,
        "video": difference(video(model, shape, STEPS, 1.0), plain),
        "guided": difference(video(model, shape, STEPS, GUIDED), weighed),
        "slope": slope_error(model, loss, noise, steepest, reach),
        "recomputed": _recomputed(_model(twin, with_picture), shape, noise, steepest),
        "trips": [round_trip(model, shape, steps) for steps in TRIPS],
        "refused": sorted(name for name in methods() if _is_refused(name, model, row.finds_words)),
        "lattice": str(model.lattice(shape)),
        "latents": "x".join(map(str, model.codec.latent_shape(shape)[1:])),
    }


def _model(twin: Twin, with_picture: bool) -> Any:
    model = twin.model()
    return model.pictured(picture_of(twin.shape)) if with_picture else model


def _recomputed(large: Any, shape: Shape, noise: Mapping[str, Any], steepest: Mapping[str, Any]) -> float:
    """Largest difference of the gradient where activations are recomputed."""
    large = large.saving(replace(large.about.measures, recomputed=True))
    found = gradient(large, Loss(large, shape, large.about.blocks - 1).of_latents, noise)
    return difference(found["latents"], steepest["latents"])


def _is_refused(name: str, model: Any, words: bool) -> bool:
    """Whether a method cannot run on a model, by its settings or since it asks for words that cannot be found."""
    method = methods()[name]
    try:
        settings_for(method, model, {})
    except SettingError:
        return True
    return not words and "targets" in {item.name for item in fields(method.Settings)}


def page(found: list[dict[str, Any]], takes: list[dict[str, Any]]) -> str:
    """The whole page.

    Args:
        found: what shows of every twin.
        takes: what published models take.
    """
    titles = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    parts = (
        (HEAD, [*titles, *map(_family, served())]),
        (EVIDENCE, _evidence(found)),
        (TAKES, _memory(takes)),
        (BREAKS, _breaking()),
        (NOT, _not()),
    )
    return "".join(head + "".join(f"{line}\n" for line in lines) for head, lines in parts)


def _family(facts: Facts) -> str:
    cells = (
        facts.family,
        ", ".join(f"`{name}`" for name in facts.pipelines),
        ", ".join(facts.published),
        facts.size,
        facts.aspects,
        "" if facts.fps is None else f"{facts.fps:g}",
        str(facts.steps),
        f"{facts.cfg:g}",
        facts.sampling,
        *("yes" if each else "no" for each in (facts.words, facts.positions, facts.pictures)),
        facts.adapters,
    )
    return f"| {' | '.join(cells)} |"


def _evidence(found: list[dict[str, Any]]) -> Iterator[str]:
    for own in found:
        refused = set(own["refused"])
        runs = f"all but {', '.join(sorted(refused))}" if refused else "all"
        trips = ", ".join(f"{trip:.3f}" for trip in own["trips"])
        figures = (f"{own[name]:.0e}" if own[name] else "0" for name in ("video", "guided", "slope", "recomputed"))
        yield f"| {' | '.join((own['twin'], own['family'], *figures, trips, runs, own['lattice'], own['latents']))} |"


def _memory(takes: list[dict[str, Any]]) -> Iterator[str]:
    for own in takes:
        wide = WIDE[own["model"]]
        size = f"{wide.shape.width}x{wide.shape.height}x{wide.shape.frames}"
        figures = (f"{own[name]:.1f}" if name in own else "" for name in ("weights", "sampled", "guided"))
        yield f"| {' | '.join((own['model'], size, str(wide.lattice.tokens), *figures))} |"


def _breaking() -> list[str]:
    """A line for each type that breaks a family's models, or one of its published ones."""
    broken = []
    for title, row in families().items():
        published = getattr(row, "published", {})
        for name, own in ((title, row), *published.items()):
            broken += [f"| {name} | {kind} | {why} |" for kind, why in getattr(own, "broken", {}).items()]
    return broken


def _not() -> Iterator[str]:
    for names, reason in NOT_SERVED.items():
        yield f"| {', '.join(f'`{name}`' for name in names)} | {reason} |"


def kept(path: Path) -> list[dict[str, Any]]:
    """What was found before."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _keep(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def packaged(found: Iterable[Mapping[str, Any]], taken: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What published models take, by their families; none of those that could not be counted."""
    families_of = {row["twin"]: row["family"] for row in found}
    told: dict[str, list[dict[str, Any]]] = {}
    for row in taken:
        own = WIDE[row["model"]]
        if "weights" not in row:
            continue
        weights, sampling, guided = (round(row[name] * GIB) for name in ("weights", "sampled", "guided"))
        told.setdefault(families_of[own.twin], []).append(
            {
                "model": row["model"],
                **{"width": own.shape.width, "height": own.shape.height, "frames": own.shape.frames},
                **{"weights_bytes": weights, "sampling_bytes": sampling, "guided_bytes": guided},
            }
        )
    return told


def _takes(name: str) -> dict[str, Any]:
    counted = of_published(name)
    return {"model": name, **({} if counted is None else asdict(counted))}


if __name__ == "__main__":
    if "--again" not in sys.argv:
        _keep(
            FOUND,
            [
                found_of(name, twin, with_picture)
                for with_picture, twins in ((False, TRANSFORMERS), (True, PICTURED))
                for name, twin in sorted(twins.items())
            ],
        )
        _keep(TAKEN, [_takes(name) for name in WIDE])
    PAGE.write_text(page(kept(FOUND), kept(TAKEN)), encoding="utf-8")
    PACKAGED.write_text(json.dumps(packaged(kept(FOUND), kept(TAKEN)), indent=1) + "\n", encoding="utf-8")
