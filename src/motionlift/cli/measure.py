"""The commands that measure. Heavy imports wait inside them."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionlift.cli import completing, early, given_files
from motionlift.cli.options import (
    FRAMES,
    MOST_SEED,
    AsJson,
    Device,
    Memory,
    OnRay,
    Overwrite,
    PartBackground,
    PartCrop,
    PartDuration,
    PartFit,
    PartFps,
    PartStart,
    Quiet,
    Reference,
    part_of,
    text,
    whole,
)
from motionlift.cli.terminal import notice, wrote
from motionlift.core.places import check_no_address, check_there
from motionlift.errors import InputError, staying

if TYPE_CHECKING:
    from motionlift.bench.cells import Cells
    from motionlift.cli.progress import Live
    from motionlift.jobs.runner import Pool
    from motionlift.measure.score import Scores


def score(
    reference: Reference,
    generated: Annotated[Path, typer.Argument(metavar="GENERATED", help="A video made from it.", show_default=False)],
    prompt: Annotated[
        str, typer.Option("--prompt", "-p", metavar="TEXT", parser=text, help="What the generated video is to show.")
    ] = "",
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="CLIP.json", help="What motionlift world wrote beside the reference."),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", metavar="A,B,...", parser=early.figures, help="The figures wanted; by default all."),
    ] = None,
    tracker: Annotated[
        str,
        typer.Option(
            "--tracker",
            metavar="NAME",
            parser=early.tracker,
            help="How points are followed: flow, lucas-kanade or cotracker.",
        ),
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
        bool | None,
        typer.Option(
            "--from-start/--to-end",
            help="Take the reference only as far as the generated video plays, as a transfer does, or to its end; by default to "
            "its end, and only so far where the video's record says what was read.",
        ),
    ] = None,
    start: PartStart = None,
    duration: PartDuration = None,
    fit: PartFit = None,
    crop: PartCrop = None,
    background: PartBackground = None,
    fps: PartFps = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure a generated video beside its reference: motion, looks, consistency, and what leaked.

    Where the video's own record says which part of this reference was read, that part is taken; options say another.
    """
    check_there(reference)
    check_there(generated)
    if truth is not None:
        check_there(truth, "give what motionlift world wrote beside the reference, as --truth CLIP.json")
    early.check_tracking(tracker, tracker_weights)
    part = part_of(start, duration, crop, background, fit)
    if clip_model is not None:
        check_no_address(clip_model, "give its folder, as --clip-model FOLDER")
    for video in (reference, generated):
        given_files.check_video(video)
    from motionlift.cli.progress import Live
    from motionlift.measure import score

    names = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    with Live(quiet, as_json) as live:
        found = score.score(
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
            start=start,
            duration=duration,
            fit=fit,
            crop=part.crop,
            background=background,
            fps=fps,
            advance=lambda measure: live.show(measure, 0, None),
        )
    notice(found.notices)
    if as_json:
        print(json.dumps(_score_record(found, reference, generated, prompt, tracker), indent=2))
    else:
        _print_scores(found)


def _print_scores(found: "Scores") -> None:
    """Figures with how to read them, and what was left out."""
    from rich.console import Console

    from motionlift.cli.progress import score_tables
    from motionlift.measure import figures

    readings = {name: figure.reading for name, figure in figures().items()}
    for table in score_tables(found.figures, readings, found.left_out):
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
        "measured_by": dict(found.measured_by),
        "notices": list(found.notices),
    }


def world(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder to fill, made if need be.", show_default=False)
    ],
    count: Annotated[int, typer.Option("--count", metavar="N", parser=whole(1, 10000), help="How many clips.")] = 8,
    seed: Annotated[
        int, typer.Option("--seed", "-s", metavar="N", parser=whole(0, MOST_SEED), help="Names the stream of clips.")
    ] = 0,
    frames: Annotated[
        int, typer.Option("--frames", metavar="N", parser=whole(*FRAMES), help="Frames of each clip.")
    ] = 17,
    size: Annotated[
        int, typer.Option("--size", metavar="N", parser=whole(16, 512), help="Height and width in pixels, even.")
    ] = 64,
    things: Annotated[
        bool,
        typer.Option("--things", help="Cars, fish, birds, ... on roads, seas, skies, ..., not shapes on patterns."),
    ] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write clips whose motion is known exactly: 0000.mp4 and its truth 0000.json, and so on."""
    given_files.check_world(folder, count, size, overwrite)
    from motionlift.cli.progress import Live
    from motionlift.world.truth import write_world

    written = 0

    def advance(done: int) -> None:
        nonlocal written
        written = done
        live.show("world", done, count)

    told = (
        f"of {count} clips are written and stay in {folder}; the same command with --overwrite writes all of them again"
    )
    with Live(quiet) as live, staying(lambda: f"{written} {told}"):
        write_world(folder, count, seed, frames, size, advance, things, overwrite)
    print(f"wrote {count} {'clip' if count == 1 else 'clips'} and the truth of each to {folder}")


def bench(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            autocompletion=completing.runs,
            help="A run file in YAML, or a bundled one: quick, world, papers, kinds.",
            show_default=False,
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
        Path | None, typer.Option("--output", "-o", help="The folder of records and videos; by default the run file's.")
    ] = None,
    ray: OnRay = None,
    device: Device = "auto",
    memory: Memory = None,
    again: Annotated[
        bool, typer.Option("--again", help="Measure once more what failed, and what does not name its code.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Measure methods beside each other: every cell of a run that has no record yet. Cells that failed make the exit code 1."""
    given_files.check_run_file(run)
    from motionlift.bench.cells import at_work, lay_out
    from motionlift.bench.run_file import Place, read_run
    from motionlift.cli import unfinished
    from motionlift.cli.progress import Live
    from motionlift.jobs.pools import one_gpu, pool_of

    asked = replace(read_run(run), place=Place(device, memory))
    if output is not None:
        asked = replace(asked, output=output)
    word = unfinished.at_work("fewer --jobs")
    with Live(quiet) as live, at_work(asked, pool_of(ray, jobs, one_gpu)) as workers, word:
        live.doing("loading models", 0)
        with staying(lambda: f"nothing was measured yet; what was there before stays in {asked.output}"):
            cells = lay_out(asked, workers, again)
        notice([f"left out: {reason}" for reason in cells.left_out])
        notice(cells.unknown)
        if cells.lost:
            notice([f"lines of {cells.records} that were cut off and are measured anew: {cells.lost}"])
        if cells.incomplete:
            notice([f"cells whose left-out figures can be measured now, of their kept videos: {cells.incomplete}"])
        failed = _measured(cells, workers, live)
    done = len(cells.waiting)
    print(f"measured {done} of {cells.count} cells, {cells.count - done} were there; records in {cells.records}")
    again_told = "(--again measures them once more)"
    if failed:
        notice([f"{len(failed)} of them failed and were recorded so {again_told}; the first: {failed[0]}"])
    if cells.failed:
        notice([f"{cells.failed} of those that were there had failed {again_told}"])
    if failed or cells.failed:
        raise typer.Exit(1)


def protocol(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The protocol: davis or mtbench.", show_default=False)],
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder that holds the clips' folders.", show_default=False)
    ],
    prompts: Annotated[
        Path | None,
        typer.Option("--prompts", metavar="TABLE", help="A table of DAVIS's prompts; by default the bundled one."),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            "--frames",
            metavar="N",
            parser=whole(*FRAMES),
            help="Frames that each clip must have; of DAVIS by default 24.",
        ),
    ] = None,
) -> None:
    """Check that a folder holds the clips of a published protocol, as bench reads them: a line for each that it does not."""
    given_files.check_protocol(name, folder, prompts)
    from motionlift.bench.mtbench import MTBench
    from motionlift.bench.protocols import davis_faults, mtbench_faults
    from motionlift.bench.sources import Davis

    if name == Davis.kind:
        given = {"prompts": prompts, "frames": frames}
        source = Davis(folder, **{key: value for key, value in given.items() if value is not None})
        found = davis_faults(source)
    else:
        source = MTBench(folder, frames)
        found = mtbench_faults(source)
    faults = 0
    for fault in found:
        print(fault)
        faults += 1
    if faults:
        raise InputError(f"{folder} does not hold all of {name}: {faults} clips, named above, cannot be used")
    print(f"{folder} holds all of {name}: {source.size()} prompts")


def _measured(cells: "Cells", workers: "Pool", live: "Live") -> list[str]:
    """Measure what waits, saying how far it is; gives the errors."""
    from motionlift.bench.cell import label

    failed: list[str] = []
    before, number = cells.count - len(cells.waiting), 0
    if cells.waiting:
        live.counting(f"{len(cells.waiting)} cells", before, cells.count)
    told = f"of {cells.count} cells stay in {cells.records}; the same command goes on from there"
    with staying(lambda: f"{before + number} {told}"):
        for number, record in enumerate(cells.measured(workers), 1):
            title = label(record)
            if "error" in record:
                failed.append(f"{title}: {record['error']}")
            live.counted(failed[-1] if "error" in record else title, before + number, cells.count)
    return failed


def report(
    records: Annotated[
        Path,
        typer.Argument(
            metavar="RECORDS",
            help="The records of motionlift bench, or the folder they are in; or a study's answers, a .csv.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The page to write; tables as .md, .tex and .csv and charts as .png beside it."
        ),
    ] = Path("report.html"),
    overwrite: Overwrite = False,
) -> None:
    """Write one page of tables, charts and videos of records, tables as Markdown, LaTeX and CSV too; or of a study's answers."""
    given_files.check_records(records)
    if records.suffix.lower() == ".csv" and not records.is_dir():
        from motionlift.bench.report.study import write_study as write
    else:
        from motionlift.bench.report.page import write_report as write

    written, notices = write(records, output, overwrite)
    notice(notices)
    wrote(written)
