"""The demo: one reference, its motion cast onto three prompts with and without guidance, and a page that shows it all.

What it makes is judged against the known truth of the world that the reference comes from.
"""

import base64
import html
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from jaxtyping import Float

from motionlift.core.cost import Step
from motionlift.core.model import Model
from motionlift.errors import OutputError
from motionlift.measure.tracks import aligned_error, direction_cosine
from motionlift.models.loading import load
from motionlift.motion.drawing import draw_motion
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.video.sheets import moving_picture
from motionlift.video.writing import check_output, replacing
from motionlift.work.cast import cast
from motionlift.work.lift import Lifting, lifted
from motionlift.work.prepare import ask, prepare
from motionlift.work.record import Costs, Video, versions
from motionlift.world import scenes
from motionlift.world.judge import Judge, Verdict, judge_video, load_judge

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of the whole work that is done, 0..1."""

REFERENCE = (3, "arc")
"""Stream of the world's scenes and motion class of the reference (ours, chosen by looking)."""
SEED = 0
"""Seed of every result's starting noise (ours)."""
PASSES = ("forward", "backward")
PAGE = "index.html"
PICTURE = "demo.webp"
REFERENCE_FILE = "reference.mp4"


@dataclass(frozen=True)
class Look:
    """What a result is asked to show."""

    colour: str
    """A key of :data:`motionlift.world.scenes.COLOURS`."""
    shape: str
    """A key of :data:`motionlift.world.shapes.SHAPES`."""
    ground: str
    """A key of :data:`motionlift.world.scenes.BACKGROUNDS`."""
    pattern: str
    """One of :data:`motionlift.world.scenes.PATTERNS`."""

    @property
    def prompt(self) -> str:
        """The look in the words that the bundled model knows."""
        return f"a {self.colour} {self.shape} on a {self.ground} {self.pattern} background"

    def seen_in(self, verdict: Verdict) -> dict[str, bool]:
        """Whether the judge sees the colour, the shape, and the background (its colour and its pattern) asked for."""
        return {
            "colour": verdict.colour == self.colour,
            "shape": verdict.shape == self.shape,
            "background": (verdict.ground, verdict.pattern) == (self.ground, self.pattern),
        }


LOOKS = (
    Look("yellow", "star", "red", "gradient"),
    Look("cyan", "circle", "blue", "checkered"),
    Look("white", "cross", "grey", "striped"),
)
"""The prompts: captions that are held out from training (ours)."""


@dataclass(frozen=True)
class Way:
    """One way to make a result: a column of the page."""

    name: str
    """Name in files."""
    title: str
    """Name on the page."""
    method: str
    """Name of the method."""
    settings: Mapping[str, Any]
    """Settings that differ from the method's own."""


WAYS = (
    Way("without", "Without motion", "none", {}),
    Way("attention", "With motion from attention", "ditflow", {}),
    Way("flow", "With motion from pixels", "ditflow", {"read": "flow"}),
)
"""The columns of the page; all but the first are drawn as arrows."""


@dataclass(frozen=True)
class Lifted:
    """A motion and what it cost."""

    motion: Motion
    """The motion."""
    seconds: float
    """Wall-clock seconds of lifting."""
    forward: int
    """Forward passes of lifting."""


@dataclass(frozen=True)
class Result:
    """One cast video and how it did."""

    look: Look
    """What was asked for."""
    way: Way
    """How it was made."""
    video: Video
    """What came."""
    verdict: Verdict
    """What the judge sees in it."""
    aligned: float
    """Aligned error of the object's track, as a share of the frame."""
    cosine: float
    """Cosine of its steps with the true ones, -1..1."""

    def save(self, folder: Path) -> None:
        """Write the video and its record."""
        self.video.save(folder / self.file)

    @property
    def file(self) -> str:
        """Name of the video's file."""
        return f"{LOOKS.index(self.look) + 1}-{self.way.name}.mp4"


def ignore(_doing: str, _share: float) -> None:
    """The progress callback of those who want none."""


def make_demo(folder: Path, model: Any = "tiny-dit", advance: Progress = ignore) -> Path:
    """Make the demo in a folder: videos with their records, motions, ``demo.webp`` and the page ``index.html``.

    Files of an earlier demo are replaced, others left alone; each appears whole or not at all.

    Args:
        folder: made if it does not exist; its parent must.
        model: what :func:`motionlift.models.loading.load` takes.
        advance: called with what is being done and the share of the work done so far.

    Returns:
        The page.

    Raises:
        MotionliftError: one of its kinds, OutputError where the folder cannot be written.
    """
    started = time.perf_counter()
    _prepare(folder)
    advance("loading the model", 0.0)
    backbone, judge = load(model), load_judge()
    scene, rendered = reference_clip(backbone)
    rendered.save(folder / REFERENCE_FILE)
    track = scene.tracks()[0]
    bar = _Bar(advance, len(WAYS) * (1 + len(LOOKS)))
    motions = {way.name: _lifted(way, folder, backbone, bar) for way in WAYS}
    results = [
        _result(look, way, motions[way.name].motion, backbone, judge, track, bar) for look in LOOKS for way in WAYS
    ]
    advance("writing the page", 1.0)
    for result in results:
        result.save(folder)
    shown = [("reference", rendered)]
    shown += [(result.look.prompt, result.video.clip) for result in results if result.way == WAYS[1]]
    moving_picture(shown, folder / PICTURE)
    page = _page(folder, scene, backbone, motions, results, time.perf_counter() - started)
    with replacing(folder / PAGE, (".html",)) as partial:
        partial.write_text(page, encoding="utf-8")
    return folder / PAGE


def reference_clip(backbone: Model) -> tuple[scenes.Scene, Clip]:
    """The reference: a held-out scene of one object before a still camera, at the model's own size and rate."""
    stream, motion = REFERENCE
    shape = backbone.about.shape
    scene = scenes.sample(stream, 0, shape.frames, objects=1, motion=motion, camera="still", unseen=True)
    return scene, Clip.of(scenes.render([scene], shape.height, shape.width).frames[0], backbone.about.fps)


class _Bar:
    """Turns the steps of one job after the other into a share of them all."""

    def __init__(self, advance: Progress, jobs: int):
        self.advance, self.jobs, self.done, self.doing = advance, jobs, -1, ""

    def start(self, doing: str) -> None:
        """Begin the next job."""
        self.done, self.doing = self.done + 1, doing
        self.advance(doing, self.done / self.jobs)

    def step(self, step: Step) -> None:
        """Take a step of the job; guided steps lie between those of sampling and do not count apart."""
        if step.phase != "guide":
            self.advance(self.doing, (self.done + (step.index + 1) / step.total) / self.jobs)


def _prepare(folder: Path) -> None:
    """Make the folder and see that it can be written, before long work."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give a folder for the demo")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder} ({error.strerror}); choose another place") from error
    check_output(folder / PAGE, (".html",))


def _lifted(way: Way, folder: Path, backbone: Model, bar: _Bar) -> Lifted:
    """Lift from the reference's file, as from any user's; save the motion and its arrows where it has any."""
    bar.start(f"lifting ({way.title.lower()})")
    job = prepare(ask(way.method, way.settings), backbone)
    costs, started = Costs(job.model), time.perf_counter()
    found = lifted(job, folder / REFERENCE_FILE, Lifting(cached=False), costs, bar.step)
    seconds = time.perf_counter() - started
    if way != WAYS[0]:
        found.motion.save(folder / f"{way.name}.safetensors")
        draw_motion(found.motion, found.reference).save(folder / f"{way.name}.mp4")
    return Lifted(found.motion, seconds, job.model.passes.forward)


def _result(
    look: Look, way: Way, motion: Motion, backbone: Model, judge: Judge, track: np.ndarray, bar: _Bar
) -> Result:
    """Cast one motion onto one prompt and judge what comes."""
    bar.start(f"{look.prompt} ({way.title.lower()})")
    video = cast(motion, look.prompt, backbone, seed=SEED, advance=bar.step)
    verdict = judge_video(judge, video.clip.frames)
    error, cosine = aligned_error(verdict.centres, track), direction_cosine(verdict.centres, track)
    return Result(look, way, video, verdict, error, cosine)


# The page


@cache
def _parts() -> dict[str, Template]:
    """The page's parts by name, out of the one file that holds them all."""
    text = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
    pieces = re.split(r"<!-- part: (\w+) -->\n", text)[1:]
    return {name: Template(piece.strip()) for name, piece in zip(pieces[::2], pieces[1::2], strict=True)}


def _filled(part: str, markup: Mapping[str, str] | None = None, **texts: object) -> str:
    """A part with texts, which are escaped, and with markup, which is not."""
    escaped = {name: html.escape(str(text)) for name, text in texts.items()}
    return _parts()[part].substitute({**escaped, **(markup or {})})


def _page(
    folder: Path,
    scene: scenes.Scene,
    backbone: Model,
    lifted: Mapping[str, Lifted],
    results: Sequence[Result],
    seconds: float,
) -> str:
    """The whole page; every video lies in it."""
    shape, track = backbone.about.shape, scene.tracks()[0]
    prompts = []
    for look in LOOKS:
        cards = [_card(result, folder, track, shape.width / shape.height) for result in results if result.look == look]
        prompts.append(_filled("prompt", {"results": "\n".join(cards)}, prompt=look.prompt))
    lines = [_mean_line(way, [result for result in results if result.way == way]) for way in WAYS]
    markup = {
        "reference": _embedded(folder / REFERENCE_FILE),
        "attention": _embedded(folder / "attention.mp4"),
        "flow": _embedded(folder / "flow.mp4"),
        "prompts": "\n".join(prompts),
        "table": "\n".join(lines),
        "about": "\n".join(_line(row) for row in _about(backbone, results, seconds)),
    }
    return _filled(
        "page",
        markup,
        model=Path(backbone.about.name).name,
        width=shape.width,
        height=shape.height,
        caption=scene.caption(),
        motion=f"motion: {scene.motion}",
        attention_cost=_cost(lifted["attention"]),
        flow_cost=_cost(lifted["flow"]),
    )


def _embedded(path: Path) -> str:
    """A video file as a data address."""
    return "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()


def _cost(lifted: Lifted) -> str:
    passes = "1 forward pass" if lifted.forward == 1 else f"{lifted.forward} forward passes"
    return f"{lifted.seconds:.2f} s, {passes}"


def _card(result: Result, folder: Path, track: Float[np.ndarray, "frames 2"], aspect: float) -> str:
    """One result: video, paths, figures, looks."""
    seen, right, record = result.verdict, result.look.seen_in(result.verdict), result.video.record
    words = {"colour": seen.colour, "shape": seen.shape, "background": f"{seen.ground} {seen.pattern} background"}
    looks = [
        _filled("look", verdict="right" if right[name] else "wrong", seen=word or f"no {name} seen")
        for name, word in words.items()
    ]
    scale = np.array([100 * aspect, 100])
    true, made = track * scale, seen.centres.double().numpy() * scale
    markup = {"video": _embedded(folder / result.file), "looks": "".join(looks), **_made_marks(made)}
    return _filled(
        "result",
        markup,
        title=result.way.title,
        wide=f"{scale[0]:.1f}",
        true_path=_points(true),
        true_x=f"{true[-1, 0]:.1f}",
        true_y=f"{true[-1, 1]:.1f}",
        aligned=f"{result.aligned:.3f}",
        cosine=f"{result.cosine:z.2f}",
        seconds=f"{record['seconds']:.1f}",
        passes=" + ".join(str(record["passes"][kind]) for kind in PASSES),
    )


def _points(path: Float[np.ndarray, "frames 2"]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in path)


def _made_marks(path: Float[np.ndarray, "frames 2"]) -> dict[str, str]:
    """The result's path, broken where the object is not seen, and a dot where it ends."""
    seen = ~np.isnan(path).any(axis=-1)
    breaks = np.flatnonzero(np.diff(seen.astype(int))) + 1
    runs = [run for run in np.split(path, breaks) if not np.isnan(run).any()]
    lines = "".join(f'<polyline class="made" points="{_points(run)}"/>' for run in runs)
    end = "".join(
        f'<circle class="made-end" cx="{run[-1, 0]:.1f}" cy="{run[-1, 1]:.1f}" r="3.5"/>' for run in runs[-1:]
    )
    return {"made_paths": lines, "made_end": end}


def _mean_line(way: Way, results: Sequence[Result]) -> str:
    """One way's means, as a line of the table."""
    right = [result.look.seen_in(result.verdict) for result in results]
    records = [result.video.record for result in results]
    return _line(
        [
            way.title,
            f"{statistics.fmean(result.aligned for result in results):.3f}",
            f"{statistics.fmean(result.cosine for result in results):z.2f}",
            *(f"{sum(each[name] for each in right)} of {len(right)}" for name in ("colour", "shape", "background")),
            f"{statistics.fmean(record['seconds'] for record in records):.1f}",
            " + ".join(f"{statistics.fmean(each['passes'][kind] for each in records):.0f}" for kind in PASSES),
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return _filled("line", {"cells": "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)})


def _about(backbone: Model, results: Sequence[Result], seconds: float) -> list[tuple[str, str]]:
    """What it takes to repeat the demo, and what it took."""
    guided = next(result for result in results if result.way == WAYS[1])
    record = guided.video.record
    return [
        (
            "model",
            f"{Path(backbone.about.name).name}, {backbone.about.shape}, lattice {backbone.lattice(backbone.about.shape)}",
        ),
        (
            "method",
            f"{record['method']}; "
            + ", ".join(f"{name} {_plain(value)}" for name, value in record["settings"].items()),
        ),
        ("seed", str(SEED)),
        ("device", f"{record['device']}, {record['threads']} threads"),
        ("seconds in all", f"{seconds:.0f}"),
        ("versions", ", ".join(f"{name} {number}" for name, number in versions().items())),
    ]


def _plain(value: Any) -> str:
    """A setting's value as a person writes it."""
    if isinstance(value, (list, tuple)):
        return "+".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
