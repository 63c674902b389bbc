"""The commands of the command line. Heavy imports wait inside them, so that ``motionlift --help`` answers at once."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionlift.errors import OutputError, SettingError
from motionlift.options import (
    FRAMES,
    MOST_SEED,
    AsJson,
    Between,
    Device,
    Frames,
    Interpolate,
    MethodName,
    Mixed,
    Model,
    Pairs,
    Previews,
    Prompt,
    Read,
    Reference,
    RunFolder,
    Seed,
    Set,
    Slower,
    SourcePrompt,
    Steps,
    Strength,
    Subjects,
    Targets,
    Upscale,
    VideoOutput,
    whole,
)
from motionlift.terminal import say

if TYPE_CHECKING:
    from motionlift.bench.grid import Grid
    from motionlift.bench.workers import Workers
    from motionlift.cascade import Stage
    from motionlift.core import Backbone
    from motionlift.progress import Live
    from motionlift.scoring import Scores
    from motionlift.workflow import Video

SHOWN_HEIGHT = 256
"""Least height of a video that shows reference and result, pixels (ours)."""

PREVIEWS = 4
"""Videos sampled into the folder of a tuning run (ours)."""
WIDE, WIDEST = 512, 1024
"""Pixels above which a drawing has many panels, and its contact sheet two large pictures in a row; and their most (ours)."""

COMMAND_LINE: ContextVar[tuple[str, ...]] = ContextVar("COMMAND_LINE")
"""The words of the command line that runs, for the records."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _print_version(asked: bool) -> bool:
    if asked:
        from importlib import metadata

        print("motionlift", metadata.version("motionlift"))
        raise typer.Exit
    return asked


@app.callback()
def _shared(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Lift the motion out of a reference video and cast it onto new content."""


@app.command()
def transfer(
    reference: Reference,
    prompt: Prompt,
    method: MethodName = "ditflow",
    model: Model = "tiny-dit",
    output: VideoOutput = Path("out.mp4"),
    seed: Seed = 0,
    frames: Frames = None,
    steps: Steps = None,
    read: Read = None,
    source_prompt: SourcePrompt = None,
    pairs: Pairs = None,
    settings: Set = None,
    device: Device = "auto",
    slower: Slower = 1,
    interpolate: Interpolate = None,
    between: Between = None,
    upscale: Upscale = False,
    side_by_side: Annotated[bool, typer.Option("--side-by-side", help="Show the reference beside the result.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a video that shows the prompt and moves like the reference."""
    values = _values(settings, steps=steps, read=read, source_prompt=source_prompt, **_paired(pairs))
    from motionlift import checks, truth, workflow
    from motionlift.progress import Live

    _check_output(output, (".json",), reference)
    checks.check_prompt(prompt)
    _check_settings(method, values)
    if side_by_side and (interpolate or upscale):
        raise SettingError(
            "--side-by-side shows frames beside those of the reference; leave --interpolate and --upscale out"
        )
    checks.check_reference(reference)
    track = truth.true_track(reference)
    with Live(as_json) as live:
        backbone = _load(model, device, live, prompt)
        live.show("lift", 0, None)
        stages = _stages(backbone, interpolate, between, upscale, device)
        video = workflow.transfer(
            reference,
            prompt,
            backbone,
            method=method,
            seed=seed,
            frames=frames,
            settings=values,
            advance=live.step,
            slower=slower,
            stages=stages,
        )
    added: dict[str, Any] = {"reference": str(reference)}
    if track is not None:
        added["motion_error"] = truth.motion_error(track, video.motion.source, video.keyframes or video.clip)
    _notice(video.record["reference_notices"])
    _finish(_beside(video) if side_by_side else video, output, added, as_json)


@app.command()
def lift(
    reference: Reference,
    output: Annotated[Path, typer.Option("--output", help="The motion file to write.")] = Path("motion.safetensors"),
    method: MethodName = "ditflow",
    model: Model = "tiny-dit",
    frames: Frames = None,
    steps: Steps = None,
    read: Read = None,
    source_prompt: SourcePrompt = None,
    subjects: Subjects = None,
    settings: Set = None,
    folder: RunFolder = None,
    previews: Previews = None,
    slower: Slower = 1,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Lift the motion of a reference into a file, to be cast later, and often."""
    values = _values(settings, steps=steps, read=read, source_prompt=source_prompt, subjects=subjects)
    from motionlift import checks, workflow
    from motionlift.media import check_output
    from motionlift.motion import SUFFIX
    from motionlift.progress import Live
    from motionlift.run_folder import is_first_process

    check_output(output, (SUFFIX,))
    _check_settings(method, values)
    checks.check_reference(reference)
    with Live(as_json) as live:
        backbone = _load(model, device, live)
        work = workflow.Run(backbone)
        live.show("lift", 0, None)
        motion = workflow.lift(
            reference,
            backbone,
            method,
            frames=frames,
            settings=values,
            advance=live.step,
            run=work,
            folder=folder,
            previews=(PREVIEWS if folder else 0) if previews is None else previews,
            slower=slower,
        )
    if not is_first_process():
        return
    motion.save(output)
    record = {
        "command": COMMAND_LINE.get(),
        "reference": str(reference),
        "reference_notices": list(work.reference.notices) if work.reference else [],
        "method": motion.method,
        "settings": dict(motion.settings),
        "model": {"name": backbone.name, "identity": backbone.identity, "fingerprint": backbone.fingerprint},
        "source": asdict(motion.source),
        "grid": asdict(motion.grid),
        "from_cache": work.from_cache,
        **workflow.tuning_prompt(motion),
        "losses": work.losses,
        "versions": workflow.versions(),
        **workflow.costs(work),
        "output": str(output),
    }
    _notice(record["reference_notices"])
    if "tuning_prompt" in record:
        _notice([f"tuned with the prompt {record['tuning_prompt']!r}"])
    if work.from_cache:
        _notice(["this motion was lifted before and came from the cache"])
    _report(record, [output], as_json)


@app.command()
def cast(
    motion: Annotated[
        Path, typer.Argument(metavar="MOTION", help="A motion file, made by motionlift lift.", show_default=False)
    ],
    prompt: Prompt,
    model: Model = "tiny-dit",
    output: VideoOutput = Path("out.mp4"),
    seed: Seed = 0,
    steps: Steps = None,
    targets: Targets = None,
    strength: Strength = None,
    mixed: Mixed = None,
    interpolate: Interpolate = None,
    between: Between = None,
    upscale: Upscale = False,
    settings: Set = None,
    device: Device = "auto",
    keep_motion: Annotated[
        Path | None, typer.Option("--keep-motion", help="Write the motion with the positions that this run optimised.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Cast a lifted motion onto a prompt."""
    values = _values(settings, steps=steps, targets=targets, strength=strength)
    from motionlift import checks, workflow
    from motionlift.media import check_output
    from motionlift.motion import SUFFIX, Motion
    from motionlift.progress import Live

    _check_output(output, (".json",))
    if keep_motion is not None:
        check_output(keep_motion, (SUFFIX,))
    checks.check_prompt(prompt)
    lifted = Motion.load(motion)
    _check_settings(lifted.method, {**lifted.settings, **values})
    others = [(Motion.load(path), part) for path, part in _mixed(mixed)]
    with Live(as_json) as live:
        backbone = _load(model, device, live, prompt)
        if lifted.fingerprint not in ("", backbone.fingerprint) and workflow.tuning_prompt(lifted):
            _notice([f"the motion was tuned on other weights than these of {backbone.name}, or in another precision"])
        stages = _stages(backbone, interpolate, between, upscale, device)
        video = workflow.cast(
            lifted, prompt, backbone, seed=seed, settings=values, advance=live.step, mixed=others, stages=stages
        )
    if keep_motion is not None:
        video.motion.save(keep_motion)
    added = {"motion": str(motion)} | ({} if keep_motion is None else {"kept_motion": str(keep_motion)})
    _finish(video, output, added, as_json)


@app.command()
def export(
    motion: Annotated[
        Path, typer.Argument(metavar="MOTION", help="A motion file of a method that tunes.", show_default=False)
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The safetensors file to write.", show_default=False)],
    form: Annotated[
        str, typer.Option("--for", metavar="READER", help="Who will read it: diffusers or comfyui.")
    ] = "diffusers",
    rank: Annotated[
        int | None,
        typer.Option(
            "--rank", metavar="N", parser=whole(1, 1024), help="Write differences of weights as factors of this rank."
        ),
    ] = None,
) -> None:
    """Write what was tuned as an adapter that other programs load."""
    from motionlift.adapter_export import check_reader, export_adapter
    from motionlift.media import check_output
    from motionlift.motion import SUFFIX, Motion

    check_output(output, (SUFFIX,))
    _check_not_same(output, motion)
    check_reader(form)
    missed = export_adapter(Motion.load(motion), output, form, rank)
    if missed is not None:
        _notice(
            [f"factors of rank {rank} miss {missed:.1%} of what was tuned (root of the squares of the differences)"]
        )
    _wrote([output])


@app.command()
def inspect(
    reference: Reference,
    output: Annotated[Path, typer.Option("--output", help="The MP4 to write; a PNG goes beside it.")] = Path(
        "inspect.mp4"
    ),
    method: MethodName = "ditflow",
    model: Model = "tiny-dit",
    frames: Frames = None,
    read: Read = None,
    source_prompt: SourcePrompt = None,
    subjects: Subjects = None,
    settings: Set = None,
    device: Device = "auto",
) -> None:
    """Draw what is lifted from a reference over its frames: displacement as arrows, or attention maps and their masks."""
    values = _values(settings, read=read, source_prompt=source_prompt, subjects=subjects)
    from motionlift import checks, workflow
    from motionlift.drawing import contact_sheet, draw_lifted
    from motionlift.progress import Live

    _check_output(output, (".png",), reference)
    _check_settings(method, values)
    checks.check_reference(reference)
    with Live() as live:
        backbone = _load(model, device, live)
        work = workflow.Run(backbone)
        live.show("lift", 0, None)
        motion = workflow.lift(reference, backbone, method, frames=frames, settings=values, advance=live.step, run=work)
        live.show("draw", 0, None)
        assert work.reference is not None
        drawn = draw_lifted(motion, work.reference)
    _notice(work.reference.notices)
    drawn.save(output)
    wide = max(drawn.frames.shape[1:3]) > WIDE
    contact_sheet(drawn, output.with_suffix(".png"), *((2, WIDEST) if wide else ()))
    _wrote([output, output.with_suffix(".png")])


@app.command()
def score(
    reference: Reference,
    generated: Annotated[Path, typer.Argument(metavar="GENERATED", help="A video made from it.", show_default=False)],
    prompt: Annotated[str, typer.Option("--prompt", help="What the generated video is to show.")] = "",
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="CLIP.json", help="What motionlift world wrote beside the reference."),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option("--metrics", metavar="A,B,...", help="The figures wanted; by default all.")
    ] = None,
    tracker: Annotated[
        str, typer.Option("--tracker", help="How points are followed: flow, lucas-kanade or cotracker.")
    ] = "flow",
    tracker_weights: Annotated[
        Path | None,
        typer.Option("--tracker-weights", metavar="FILE", help="CoTracker's weights; by default those of torch.hub."),
    ] = None,
    clip_model: Annotated[
        str | None, typer.Option("--clip-model", metavar="NAME", help="A CLIP model: a folder or a hub name.")
    ] = None,
    legacy: Annotated[
        bool, typer.Option("--legacy", help="Also give motion fidelity by the older, widely copied script.")
    ] = False,
    from_start: Annotated[
        bool,
        typer.Option(
            "--from-start", help="Take the reference only as far as the generated video plays, as a transfer does."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a generated video beside its reference: motion, looks, consistency, and what leaked."""
    from motionlift import scoring
    from motionlift.progress import Live

    names = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    with Live(as_json) as live:
        found = scoring.score(
            reference,
            generated,
            prompt=prompt,
            truth=truth,
            metrics=names,
            tracker=tracker,
            tracker_weights=tracker_weights,
            legacy=legacy,
            clip_model=clip_model,
            from_start=from_start,
            advance=lambda measure: live.show(measure, 0, None),
        )
    _notice(found.notices)
    if as_json:
        print(json.dumps(_score_record(found, reference, generated, prompt, tracker), indent=2))
        return
    from rich.console import Console

    from motionlift.progress import score_tables

    for table in score_tables(found.figures, scoring.FIGURES, found.left_out):
        Console().print(table)


def _score_record(found: "Scores", reference: Path, generated: Path, prompt: str, tracker: str) -> dict[str, Any]:
    """Scores as JSON has them: each figure a key, null where it is undefined."""
    return {
        "reference": str(reference),
        "generated": str(generated),
        "prompt": prompt,
        "tracker": tracker,
        **{name: value if math.isfinite(value) else None for name, value in found.figures.items()},
        "left_out": dict(found.left_out),
        "notices": list(found.notices),
    }


@app.command()
def world(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder to fill, made if need be.", show_default=False)
    ],
    count: Annotated[int, typer.Option("--count", metavar="N", parser=whole(1, 10000), help="How many clips.")] = 8,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", parser=whole(0, MOST_SEED), help="Names the stream of clips.")
    ] = 0,
    frames: Annotated[
        int, typer.Option("--frames", metavar="N", parser=whole(*FRAMES), help="Frames of each clip.")
    ] = 17,
    size: Annotated[
        int, typer.Option("--size", metavar="N", parser=whole(16, 512), help="Height and width in pixels, even.")
    ] = 64,
) -> None:
    """Write clips whose motion is known exactly: 0000.mp4 and its truth 0000.json, and so on."""
    from motionlift.progress import Live
    from motionlift.truth import write_world

    with Live() as live:
        write_world(folder, count, seed, frames, size, lambda done: live.show("world", done, count))
    print(f"wrote {count} {'clip' if count == 1 else 'clips'} and the truth of each to {folder}")


@app.command()
def bench(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run file in YAML, or a bundled one: quick, world, papers.", show_default=False
        ),
    ],
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            metavar="N",
            parser=whole(1, 64),
            help="Processes side by side; by default one for each core up to four, and one with a GPU.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="The folder of records and videos; by default the run file's.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure cells that failed once more.")] = False,
) -> None:
    """Measure methods beside each other: every cell of a run's grid that has no record yet."""
    from motionlift.bench import grid
    from motionlift.bench.run_file import read_run
    from motionlift.progress import Live

    asked = read_run(run)
    if output is not None:
        asked = replace(asked, output=output)
    with Live() as live, grid.at_work(asked, jobs or grid.default_processes()) as workers:
        live.doing("loading models", 0)
        cells = grid.lay_out(asked, workers, again)
        _notice([f"left out: {reason}" for reason in cells.left_out])
        if cells.lost:
            _notice([f"lines of {cells.records} that were cut off and are measured anew: {cells.lost}"])
        failed = _measured(cells, workers, live)
    done = len(cells.waiting)
    print(f"measured {done} of {cells.cells} cells, {cells.cells - done} were there; records in {cells.records}")
    if failed:
        _notice([f"{len(failed)} of them failed and were recorded so; the first: {failed[0]}"])


def _measured(cells: "Grid", workers: "Workers", live: "Live") -> list[str]:
    """Measure what waits, saying how far it is; gives the errors."""
    failed: list[str] = []
    before, number = cells.cells - len(cells.waiting), 0
    try:
        for number, record in enumerate(cells.measured(workers), 1):
            title = f"{record['model']}, {record['method']}, {record['reference']}, seed {record['seed']}"
            if "error" in record:
                failed.append(f"{title}: {record['error']}")
            live.line(f"{before + number} of {cells.cells}: {failed[-1] if 'error' in record else title}")
            live.doing(title, (before + number) / cells.cells)
    except KeyboardInterrupt as stop:
        told = f"{before + number} of {cells.cells} cells stay in {cells.records}; the same command goes on from there"
        raise KeyboardInterrupt(told) from stop
    return failed


@app.command()
def report(
    records: Annotated[
        Path,
        typer.Argument(
            metavar="RECORDS", help="The records of motionlift bench, or the folder they are in.", show_default=False
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", help="The page to write; its tables go beside it, as .md and .csv.")
    ] = Path("report.html"),
) -> None:
    """Write one page of tables, charts and videos from records, and the tables as Markdown and CSV."""
    from motionlift.bench.report import write_report

    written, notices = write_report(records, output)
    _notice(notices)
    _wrote(written)


@app.command()
def models() -> None:
    """List the bundled models and the pipelines that are served."""
    from motionlift.listing import print_models

    print_models()


@app.command()
def methods(as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False) -> None:
    """List the methods, their settings, and what these allow. A model may bring defaults of its own."""
    from motionlift.listing import listed_methods, print_methods

    if as_json:
        print(json.dumps(listed_methods(), indent=2))
    else:
        print_methods()


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all that is kept.")] = False,
) -> None:
    """Show or clear the cache of lifted motions."""
    from motionlift import cache as kept
    from motionlift.progress import readable_bytes

    state = kept.clear() if clear else kept.state()
    verb = "removed" if clear else "kept"
    cap = "" if clear else f", of at most {readable_bytes(state.most_bytes)}"
    motions = f"{state.files} {'motion' if state.files == 1 else 'motions'}"
    print(f"{verb}: {motions} of {readable_bytes(state.bytes)}{cap}, in {state.folder}")


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", help="The folder to fill, made if need be.")] = Path(
        "demo-output"
    ),
) -> None:
    """Transfer a motion to three prompts, and write a page that shows it all."""
    from motionlift.demo import make_demo
    from motionlift.progress import Live

    with Live() as live:
        page = make_demo(output, advance=live.doing)
    _wrote([page])


def _paired(pairs: Sequence[str] | None) -> dict[str, list[str] | None]:
    """Subjects and targets from ``--pair SUBJECT=TARGET``."""
    split = [pair.partition("=")[::2] for pair in pairs or ()]
    for pair, (subject, target) in zip(pairs or (), split, strict=True):
        if not subject.strip() or not target.strip():
            raise SettingError(f"--pair is {pair!r}; give SUBJECT=TARGET, such as --pair star=ring")
    return {"subjects": [pair[0] for pair in split] or None, "targets": [pair[1] for pair in split] or None}


def _stages(
    backbone: "Backbone", interpolate: int | None, between: str | None, upscale: bool, device: str
) -> list["Stage"]:
    """The stages of a cascade that options ask for."""
    from motionlift import loading, workflow

    if between is not None and interpolate is None:
        raise SettingError("--between names the model of --interpolate, which is not given; give it too")
    stages: list[Stage] = []
    if interpolate is not None:
        stages.append(workflow.interpolation(loading.load(between, device) if between else backbone, interpolate))
    return [*stages, loading.super_resolution(device)] if upscale else stages


def _mixed(pairs: Sequence[str] | None) -> list[tuple[Path, float]]:
    """Motion files and strengths from ``--mix MOTION=STRENGTH``; without a strength it is 1."""
    found = []
    for pair in pairs or ():
        path, equals, strength = pair.rpartition("=")
        try:
            found.append((Path(path), float(strength)) if equals else (Path(pair), 1.0))
        except ValueError as error:
            raise SettingError(f"--mix is {pair!r}; give MOTION=STRENGTH, such as walk.safetensors=0.5") from error
    return found


def _values(pairs: Sequence[str] | None, **shorthands: str | Sequence[str] | None) -> dict[str, Any]:
    """Settings from ``--set`` and from the options that are short for one."""
    from motionlift.settings import assignments

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


def _check_settings(method: str, values: Mapping[str, Any]) -> None:
    """Refuse settings before a model is loaded; with the model they are checked again, for its blocks."""
    from motionlift.methods import method as method_named
    from motionlift.settings import with_values

    with_values(method_named(method).Settings(), values)


def _check_output(video: Path, companions: Sequence[str], reference: Path | None = None) -> None:
    """Make sure that a video and the files beside it can be written, and that it is not the reference itself."""
    from motionlift.media import check_output

    check_output(video)
    for suffix in companions:
        check_output(video.with_suffix(suffix), (suffix,))
    if reference is not None:
        _check_not_same(video, reference, "the reference")


def _check_not_same(output: Path, given: Path, what: str = "the motion itself") -> None:
    """Refuse to write over what is read."""
    with suppress(OSError):  # one of them is not there, or cannot be: reading says so
        if output.samefile(given):
            raise OutputError(f"cannot write {output}: it is {what}; choose another name")


def _load(model: str, device: str, live: "Live", prompt: str = "") -> "Backbone":
    """Load a model; says which words of the prompt it does not know."""
    from motionlift import loading

    live.show("load", 0, None)
    backbone = loading.load(model, device)
    unknown = backbone.unknown_words(prompt) if prompt and hasattr(backbone, "unknown_words") else []  # pyright: ignore
    if unknown:
        _notice([f"{backbone.name} does not know the word(s) {', '.join(unknown)}"])
    return backbone


def _beside(video: "Video") -> "Video":
    """The video with its reference to the left, frame by frame."""
    from motionlift.media import side_by_side

    assert video.reference is not None
    reference = replace(video.reference, fps=video.clip.fps)
    clip = side_by_side([reference, video.clip], max(SHOWN_HEIGHT, video.clip.frames.shape[1]))
    return replace(video, clip=clip, record={**video.record, "side_by_side": True})


def _finish(video: "Video", output: Path, added: Mapping[str, Any], as_json: bool) -> None:
    """Save a video with its record and report."""
    replace(video, record={"command": COMMAND_LINE.get(), **video.record, **added}).save(output)
    record = output.with_suffix(".json")
    _report(json.loads(record.read_text(encoding="utf-8")), [output, record], as_json)


def _notice(notices: Sequence[str]) -> None:
    for notice in notices:
        say(f"note: {notice}")


def _report(record: Mapping[str, Any], files: Sequence[Path], as_json: bool) -> None:
    """The record alone, or a table of the costs and the files that were written."""
    if as_json:
        print(json.dumps(record, indent=2))
        return
    from rich.console import Console

    from motionlift.progress import closing_lines, closing_table

    Console().print(closing_table(record))
    for line in closing_lines(record):
        print(line)
    _wrote(files)


def _wrote(files: Sequence[Path]) -> None:
    print(f"wrote {' and '.join(map(str, files))}")
