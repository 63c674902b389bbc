"""The demo: one reference, its motion cast onto three prompts with and without guidance, and a page that shows it all.

What it makes is judged against the known truth of the world that the reference comes from.
"""

import base64
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from motionlift.core.cost import Step
from motionlift.core.model import Model
from motionlift.errors import OutputError
from motionlift.measure.tracks import aligned_error, direction_cosine
from motionlift.models.loading import load
from motionlift.models.sources import DEFAULT_MODEL
from motionlift.motion.drawing import draw_motion
from motionlift.motion.file import Motion
from motionlift.page import template
from motionlift.video.clip import Clip
from motionlift.video.marks import CLIP, DRAWING, MOTION, RECORD, VIDEO, Kind, signed, signed_text
from motionlift.video.marks import PICTURE as PICTURE_KIND
from motionlift.video.sheets import moving_picture
from motionlift.video.writing import check_local, check_output, check_place, replacing
from motionlift.work.cast import cast
from motionlift.work.lift import Lifting, lifted
from motionlift.work.prepare import ask, prepare
from motionlift.work.record import Costs, versions
from motionlift.work.video import Video
from motionlift.world import scenes
from motionlift.world.judge import Judge, Verdict, judge_of, judge_video
from motionlift.world.named import sample_named

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of the whole work that is done, 0..1."""

REFERENCE = (3, 8, "arc")
"""Stream of things that have names, place in it, and motion class of the reference (ours, chosen by looking)."""
SEED = 0
"""Seed of every result's starting noise (ours)."""
PASSES = ("forward", "backward")
PAGE = "index.html"
TEMPLATE = Path(__file__).with_suffix(".html")
DEMO = signed("demo page", ".html", "<title>motionlift demo</title>")
"""The page."""
PICTURE = "demo.webp"
REFERENCE_FILE = "reference.mp4"
TRACK_ERROR = "track error"
"""What the aligned error is called on the page and in the picture."""


@dataclass(frozen=True)
class Look:
    """What a result is asked to show."""

    colour: str
    """A key of :data:`motionlift.world.scenes.COLOURS`."""
    shape: str
    """A key of :data:`motionlift.world.things.THINGS`."""
    ground: str
    """Colour of the ground."""
    pattern: str
    """A key of :data:`motionlift.world.places.PLACES`."""

    @property
    def prompt(self) -> str:
        """The look in the words that the bundled model knows."""
        return f"{scenes.article(self.colour)} {self.colour} {self.shape} {ground_phrase(self.pattern, self.ground)}"

    def seen_in(self, verdict: Verdict) -> dict[str, bool]:
        """Whether the judge sees the colour, the shape, and the background (its colour and its pattern) asked for."""
        return {
            "colour": verdict.colour == self.colour,
            "shape": verdict.shape == self.shape,
            "background": (verdict.ground, verdict.pattern) == (self.ground, self.pattern),
        }


LOOKS = (
    Look("orange", "fish", "green", "sea"),
    Look("white", "car", "grey", "road"),
    Look("red", "cat", "green", "grass"),
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


def ground_phrase(pattern: str, colour: str) -> str:
    """How a caption names a ground."""
    return scenes.Background(pattern, colour, angle=0.0, period=1.0, phase=0.0).phrase()


def ignore(_doing: str, _share: float) -> None:
    """The progress callback of those who want none."""


def ignore_line(_line: str) -> None:
    """The callback of those who need no word of each file."""


def make_demo(
    folder: Path,
    model: Any = DEFAULT_MODEL,
    advance: Progress = ignore,
    overwrite: bool = True,
    tell: Callable[[str], None] = ignore_line,
) -> Path:
    """Make the demo in a folder: videos with their records, motions, ``demo.webp`` and the page ``index.html``.

    Files of an earlier demo are replaced; where another has one of their names, nothing is written. Each appears whole or not
    at all, as soon as it is made.

    Args:
        folder: made if it does not exist; its parent must.
        model: what :func:`motionlift.models.loading.load` takes.
        advance: called with what is being done and the share of the work done so far.
        overwrite: whether files of an earlier demo are replaced.
        tell: called with a line for each video, once it is there.

    Returns:
        The page.

    Raises:
        MotionliftError: one of its kinds, OutputError where the folder cannot be written.
    """
    started = time.perf_counter()
    _prepare(folder, overwrite)
    advance("loading the model", 0.0)
    backbone, judge = load(model), judge_of(named=True)
    scene, rendered = reference_clip(backbone)
    rendered.save(folder / REFERENCE_FILE)
    tell(f"reference: wrote {folder / REFERENCE_FILE}")
    track = scene.tracks()[0]
    bar = _Bar(advance, len(WAYS) * (1 + len(LOOKS)))
    motions = {way.name: _lifted(way, folder, backbone, bar) for way in WAYS}
    results = []
    for look, way in itertools.product(LOOKS, WAYS):
        results.append(_result(look, way, motions[way.name].motion, backbone, judge, track, bar))
        results[-1].save(folder)
        tell(f"{bar.doing}: wrote {folder / results[-1].file}")
    advance("writing the page", 1.0)
    moving_picture(_pictured(rendered, results), folder / PICTURE, across=1 + len(LOOKS))
    page = _page(folder, scene, backbone, motions, results, time.perf_counter() - started)
    with replacing(folder / PAGE, DEMO) as partial:
        partial.write_bytes(signed_text(DEMO, page).encode())
    return folder / PAGE


def reference_clip(backbone: Model) -> tuple[scenes.Scene, Clip]:
    """The reference: a held-out scene of one thing before a still camera, at the model's own size and rate."""
    stream, place, motion = REFERENCE
    shape = backbone.about.shape
    scene = sample_named(
        stream, place, shape.frames, objects=1, motion=motion, camera="still", unseen=True, only_named=True
    )
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


def _prepare(folder: Path, overwrite: bool) -> None:
    """Make the folder and see that it can be written, before long work."""
    check_local(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give a folder for the demo")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder} ({error.strerror}); choose another place") from error
    check_output(folder / PAGE, DEMO, overwrite)
    for path, kind in _files(folder):
        check_place(path, kind, overwrite)


def _files(folder: Path) -> Iterator[tuple[Path, Kind]]:
    """What is written beside the page."""
    yield folder / REFERENCE_FILE, CLIP
    yield folder / PICTURE, PICTURE_KIND
    for way in WAYS[1:]:
        yield folder / f"{way.name}.safetensors", MOTION
        yield folder / f"{way.name}.mp4", DRAWING
    for number, _ in enumerate(LOOKS, 1):
        for way in WAYS:
            yield folder / f"{number}-{way.name}.mp4", VIDEO
            yield folder / f"{number}-{way.name}.json", RECORD


def _lifted(way: Way, folder: Path, backbone: Model, bar: _Bar) -> Lifted:
    """Lift from the reference's file, as from any user's; save the motion and its arrows where it has any."""
    bar.start(f"lifting ({way.name})")
    job = prepare(ask(way.method, way.settings), backbone)
    costs, started = Costs(job.model), time.perf_counter()
    found = lifted(job, folder / REFERENCE_FILE, Lifting(cached=False), costs, bar.step)
    seconds = time.perf_counter() - started
    if way != WAYS[0]:
        found.motion.save(folder / f"{way.name}.safetensors")
        draw_motion(found.motion, found.reference).save(folder / f"{way.name}.mp4", DRAWING)
    return Lifted(found.motion, seconds, job.model.passes.forward)


def _result(
    look: Look, way: Way, motion: Motion, backbone: Model, judge: Judge, track: np.ndarray, bar: _Bar
) -> Result:
    """Cast one motion onto one prompt and judge what comes."""
    bar.start(f"prompt {LOOKS.index(look) + 1} of {len(LOOKS)} ({way.name})")
    video = cast(motion, look.prompt, backbone, seed=SEED, advance=bar.step)
    verdict = judge_video(judge, video.clip.frames)
    error, cosine = aligned_error(verdict.centres, track), direction_cosine(verdict.centres, track)
    return Result(look, way, video, verdict, error, cosine)


def _pictured(reference: Clip, results: Sequence[Result]) -> list[tuple[str, Clip]]:
    """What the moving picture shows: a row with the attention's motion and one without, each after the reference."""
    shown = []
    for way in (WAYS[1], WAYS[0]):
        shown.append(("reference", reference))
        for result in results:
            if result.way == way:
                what = result.look.prompt if way == WAYS[1] else way.title.lower()
                shown.append((f"{what}: {TRACK_ERROR} {result.aligned:.3f}", result.video.clip))
    return shown


# The page


@dataclass(frozen=True)
class Drawn:
    """A path as the page draws it, in hundredths of the frame's height."""

    points: str
    """Its points, as SVG has them."""
    x: str
    """Where it ends, from the left."""
    y: str
    """Where it ends, from the top."""


@dataclass(frozen=True)
class Seen:
    """One thing that was asked for, and what the judge sees."""

    right: bool
    """Whether it is what was asked for."""
    seen: str
    """What is seen."""


@dataclass(frozen=True)
class Card:
    """One result on the page."""

    title: str
    """How it was made."""
    video: str
    """Its video, as a data address."""
    wide: str
    """Width of the frame in hundredths of its height."""
    true: Drawn
    """Path of the reference's object."""
    made: Sequence[Drawn]
    """Path of the result's object, in pieces."""
    figures: Mapping[str, str]
    """What was measured, by name."""
    looks: Sequence[Seen]
    """What was asked for."""


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
    looks = [
        {
            "prompt": look.prompt,
            "cards": [
                _card(result, folder, track, shape.width / shape.height) for result in results if result.look == look
            ],
        }
        for look in LOOKS
    ]
    return template(TEMPLATE).render(
        model=Path(backbone.about.name).name,
        width=shape.width,
        height=shape.height,
        caption=scene.caption(),
        motion=f"motion: {scene.motion}",
        reference=_embedded(folder / REFERENCE_FILE),
        attention=_embedded(folder / "attention.mp4"),
        attention_cost=_cost(lifted["attention"]),
        flow=_embedded(folder / "flow.mp4"),
        flow_cost=_cost(lifted["flow"]),
        looks=looks,
        means=[_means(way, [result for result in results if result.way == way]) for way in WAYS],
        about=_about(backbone, results, seconds),
    )


def _embedded(path: Path) -> str:
    """A video file as a data address."""
    return "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()


def _cost(lifted: Lifted) -> str:
    passes = "1 forward pass" if lifted.forward == 1 else f"{lifted.forward} forward passes"
    return f"{lifted.seconds:.2f} s, {passes}"


def _card(result: Result, folder: Path, track: Float[np.ndarray, "frames 2"], aspect: float) -> Card:
    """One result: video, paths, figures, looks."""
    seen, right, record = result.verdict, result.look.seen_in(result.verdict), result.video.record
    words = {"colour": seen.colour, "shape": seen.shape, "background": ground_phrase(seen.pattern, seen.ground)}
    scale = np.array([100 * aspect, 100])
    return Card(
        title=result.way.title,
        video=_embedded(folder / result.file),
        wide=f"{scale[0]:.1f}",
        true=_drawn(track * scale),
        made=_pieces(seen.centres.double().numpy() * scale),
        figures={
            TRACK_ERROR: f"{result.aligned:.3f}",
            "direction cosine": f"{result.cosine:z.2f}",
            "seconds": f"{record['seconds']:.1f}",
            "passes": " + ".join(str(record["passes"][kind]) for kind in PASSES),
        },
        looks=[Seen(right[name], word or f"no {name} seen") for name, word in words.items()],
    )


def _drawn(path: Float[np.ndarray, "frames 2"]) -> Drawn:
    """A path that is seen all along."""
    return Drawn(" ".join(f"{x:.1f},{y:.1f}" for x, y in path), f"{path[-1, 0]:.1f}", f"{path[-1, 1]:.1f}")


def _pieces(path: Float[np.ndarray, "frames 2"]) -> list[Drawn]:
    """A path, broken where the object is not seen."""
    seen = ~np.isnan(path).any(axis=-1)
    breaks = np.flatnonzero(np.diff(seen.astype(int))) + 1
    return [_drawn(piece) for piece in np.split(path, breaks) if not np.isnan(piece).any()]


def _means(way: Way, results: Sequence[Result]) -> list[str]:
    """One way's means, as a row of the table."""
    right = [result.look.seen_in(result.verdict) for result in results]
    records = [result.video.record for result in results]
    return [
        way.title,
        f"{statistics.fmean(result.aligned for result in results):.3f}",
        f"{statistics.fmean(result.cosine for result in results):z.2f}",
        *(f"{sum(each[name] for each in right)} of {len(right)}" for name in ("colour", "shape", "background")),
        f"{statistics.fmean(record['seconds'] for record in records):.1f}",
        " + ".join(f"{statistics.fmean(each['passes'][kind] for each in records):.0f}" for kind in PASSES),
    ]


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
