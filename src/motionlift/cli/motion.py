"""The commands that lift and cast. Heavy imports wait inside them, so that ``motionlift --help`` answers at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionlift.cli import completing, early, given_files
from motionlift.cli.again import check_model, repeatable_words, tell_sameness
from motionlift.cli.checks import (
    check_kept,
    check_not_same,
    check_outputs,
    check_run_folder,
    check_sound,
    part_heard,
    place_now,
    side_by_side_of,
    unheard_part,
)
from motionlift.cli.options import (
    AsJson,
    Background,
    Between,
    Compiled,
    Crop,
    CutPrompt,
    Device,
    Dtype,
    Duration,
    EveryFrame,
    Fit,
    Fps,
    Frames,
    HeldWeights,
    Interpolate,
    Loras,
    Memory,
    MethodName,
    Mixed,
    Model,
    NegativePrompt,
    Overwrite,
    Pairs,
    Parallel,
    Picture,
    Preset,
    Previews,
    Prompt,
    Quiet,
    Read,
    Reference,
    ReferenceForm,
    RunFolder,
    Sampler,
    Seed,
    Set,
    Size,
    Slower,
    SourcePrompt,
    Start,
    Steps,
    Strength,
    Subjects,
    Targets,
    Upscale,
    VideoOutput,
    check_run,
    check_tuned,
    given_settings,
    mixed_of,
    part_of,
    size_of,
    whole,
)
from motionlift.cli.planned import is_planned
from motionlift.cli.prompts import HELD, check_later
from motionlift.cli.terminal import COMMAND_LINE, notice, report_costs, wrote
from motionlift.errors import SettingError
from motionlift.models.sources import DEFAULT_MODEL

if TYPE_CHECKING:
    from motionlift.cli.progress import Live
    from motionlift.core.model import Model as VideoModel
    from motionlift.loops.cascade import Stage
    from motionlift.video.sound import Sound
    from motionlift.work.planning import Asked
    from motionlift.work.prepare import Job
    from motionlift.work.video import Video

SHOWN_HEIGHT = 256
"""Least height of a video that shows reference and result, pixels (ours)."""

PREVIEWS = 4
"""Videos sampled into the folder of a tuning run (ours)."""
WIDE, WIDEST = 512, 1024
"""Pixels above which a drawing has many panels, and its contact sheet two large pictures in a row; and their most (ours)."""


def transfer(
    reference: Reference,
    prompt: Prompt,
    method: MethodName = "ditflow",
    preset: Preset = None,
    model: Model = DEFAULT_MODEL,
    loras: Loras = None,
    output: VideoOutput = Path("out.mp4"),
    seed: Seed = 0,
    frames: Frames = None,
    size: Size = None,
    picture: Picture = None,
    steps: Steps = None,
    sampler: Sampler = None,
    read: Read = None,
    reference_form: ReferenceForm = None,
    source_prompt: SourcePrompt = None,
    negative_prompt: NegativePrompt = None,
    pairs: Pairs = None,
    strength: Strength = None,
    cut_prompt: CutPrompt = False,
    settings: Set = None,
    folder: RunFolder = None,
    previews: Previews = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    fps: Fps = None,
    memory: Memory = None,
    weights: HeldWeights = None,
    compiled: Compiled = False,
    parallel: Parallel = None,
    slower: Slower = 1,
    start: Start = 0.0,
    duration: Duration = None,
    fit: Fit = None,
    crop: Crop = None,
    background: Background = "grey",
    every_frame: EveryFrame = None,
    interpolate: Interpolate = None,
    between: Between = None,
    upscale: Upscale = False,
    side_by_side: Annotated[
        bool,
        typer.Option("--side-by-side", help="Also write reference and result beside each other, as NAME-side-by-side."),
    ] = False,
    keep_sound: Annotated[
        bool, typer.Option("--keep-sound", help="Give the video the sound of the part of the reference that is read.")
    ] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Make a video that shows the prompt and moves like the reference."""
    shorthands = {
        "source_prompt": source_prompt,
        "negative_prompt": negative_prompt,
        "strength": strength,
        "preset": preset,
    }
    shorthands |= {"steps": steps, "sampler": sampler, "reference": reference_form}
    given = given_settings(method, settings, read=read, pair=pairs or None, **shorthands)
    check_run(method, folder, previews)
    early.check_words(method, given.read, model)
    early.check_started(parallel)
    early.check_held(model, weights, compiled)
    pixels = size_of(size)
    part = part_of(start, duration, crop, background, fit)
    if side_by_side and (interpolate or upscale):
        raise SettingError(
            "--side-by-side shows frames beside those of the reference; leave --interpolate and --upscale out"
        )
    _check_between(between, interpolate)
    given_files.check_files(reference, picture, loras)
    early.check_begun(model, picture)
    from motionlift.video.marks import CLIP, RECORD, VIDEO
    from motionlift.video.writing import check_output

    check_outputs(output, VIDEO, RECORD, reference, overwrite)
    if side_by_side:
        check_output(side_by_side_of(output), CLIP, overwrite)
    unheard = check_sound(output, reference) if keep_sound else []
    check_run_folder(folder)
    given_files.check_video(reference, part)
    foretold = early.foretell(model, prompt, frames, upscale, pixels)
    from motionlift.cli import unfinished
    from motionlift.cli.progress import Live
    from motionlift.loops.run_folder import is_first_process
    from motionlift.work import cast as casting
    from motionlift.work import prepare
    from motionlift.work.lift import Lifting, lifted, resting
    from motionlift.work.planning import Asked
    from motionlift.work.record import Costs

    request = prepare.ask(method, given.values, prompt=prompt, seed=seed, called=given.called, picture=picture)
    aspect = prepare.aspect_of(reference)
    reading = {"fps": fps, "slower": slower, "fit": fit, "every_frame": every_frame, "part": part}
    how = Lifting(folder=folder, previews=_previews(previews, folder), **reading)
    stages = partial(_stages, interpolate=interpolate, between=between, upscale=upscale, device=device, dtype=dtype)
    how_made = {"stages": stages, "cut_prompt": cut_prompt, "aspect": aspect, "parallel": parallel or 1}
    asked = Asked(request, frames, pixels, **how_made, compiled=compiled, weights=weights)
    if is_planned(asked, model, device, dtype, memory, as_json):
        return
    with Live(quiet, as_json) as live, unfinished.at_work():
        job = _prepared(asked, model, device, dtype, live, loras, memory, foretold)
        live.show("lift", 0, None)
        costs = Costs(job.model, plan=job.plan)
        costs.note(unheard)
        with resting(job.model):
            found = lifted(job, reference, how, costs, live.step)
            if keep_sound and not unheard:
                costs.note(unheard_part(reference, part.start, found.reference))
            told = [*found.reference.notices, *costs.notices]
            if is_first_process():
                notice(told, [*job.notices, *unheard])
            with found.staying():
                video = casting.casted(job, found.motion, costs, live.step, found.reference)
    if not is_first_process():
        return
    place, shown = place_now(output, ".json", overwrite, side_by_side), []
    sound = part_heard(reference, part.start, video.clip) if keep_sound else None
    if side_by_side:
        shown = [side_by_side_of(place)]
        _show_beside(video, shown[0], sound, overwrite)
    sources = _sources(reference=reference, picture=picture)
    _finish(video, place, sources, as_json, (*job.notices, *told), sound, shown)


def lift(
    reference: Reference,
    output: Annotated[Path, typer.Option("--output", "-o", help="The motion file to write.")] = Path(
        "motion.safetensors"
    ),
    method: MethodName = "ditflow",
    preset: Preset = None,
    model: Model = DEFAULT_MODEL,
    loras: Loras = None,
    frames: Frames = None,
    size: Size = None,
    steps: Steps = None,
    read: Read = None,
    reference_form: ReferenceForm = None,
    source_prompt: SourcePrompt = None,
    subjects: Subjects = None,
    cut_prompt: CutPrompt = False,
    settings: Set = None,
    folder: RunFolder = None,
    previews: Previews = None,
    fps: Fps = None,
    slower: Slower = 1,
    start: Start = 0.0,
    duration: Duration = None,
    fit: Fit = None,
    crop: Crop = None,
    background: Background = "grey",
    every_frame: EveryFrame = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    memory: Memory = None,
    weights: HeldWeights = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Lift the motion of a reference into a file, to be cast later, and often."""
    shorthands = {"steps": steps, "read": read, "source_prompt": source_prompt, "preset": preset}
    shorthands |= {"reference": reference_form}
    given = given_settings(method, settings, subject=subjects or None, **shorthands)
    check_run(method, folder, previews)
    early.check_words(method, given.read, model)
    early.check_held(model, weights)
    pixels = size_of(size)
    part = part_of(start, duration, crop, background, fit)
    given_files.check_files(reference, None, loras)
    from motionlift.video.marks import MOTION
    from motionlift.video.writing import check_output

    check_output(output, MOTION, overwrite)
    check_run_folder(folder)
    given_files.check_video(reference, part)
    foretold = early.foretell(model, None, frames, size=pixels)
    from motionlift.cli import unfinished
    from motionlift.cli.progress import Live
    from motionlift.loops.run_folder import is_first_process
    from motionlift.work import prepare
    from motionlift.work.lift import Lifting, lifted_alone
    from motionlift.work.planning import Asked
    from motionlift.work.record import Costs, lift_record

    request = prepare.ask(method, given.values, called=given.called)
    aspect = prepare.aspect_of(reference)
    reading = {"fps": fps, "slower": slower, "fit": fit, "every_frame": every_frame, "part": part}
    how = Lifting(folder=folder, previews=_previews(previews, folder), **reading)
    asked = Asked(request, frames, pixels, cut_prompt=cut_prompt, aspect=aspect, weights=weights)
    if is_planned(asked, model, device, dtype, memory, as_json):
        return
    with Live(quiet, as_json) as live, unfinished.at_work():
        job = _prepared(asked, model, device, dtype, live, loras, memory, told=foretold)
        live.show("lift", 0, None)
        costs = Costs(job.model, plan=job.plan)
        found = lifted_alone(job, reference, how, costs, live.step)
    if not is_first_process():
        return
    with found.staying():
        output = place_now(output, "", overwrite)
        found.motion.save(output)
    record = {
        "command": COMMAND_LINE.get(),
        "reference": str(reference),
        **lift_record(job.model, found.motion, costs, found.reference.notices, found.from_cache),
        "output": str(output),
    }
    notice([*record["reference_notices"], *record.get("notices", ())], told=job.notices)
    if "tuning_prompt" in record:
        notice([f"tuned with the prompt {record['tuning_prompt']!r}"])
    if found.from_cache:
        notice(["this motion was lifted before and came from the cache"])
    report_costs(record, [output], as_json)


def cast(
    motion: Annotated[
        Path, typer.Argument(metavar="MOTION", help="A motion file, made by motionlift lift.", show_default=False)
    ],
    prompt: Prompt,
    model: Model = DEFAULT_MODEL,
    loras: Loras = None,
    output: VideoOutput = Path("out.mp4"),
    seed: Seed = 0,
    picture: Picture = None,
    steps: Steps = None,
    sampler: Sampler = None,
    targets: Targets = None,
    negative_prompt: NegativePrompt = None,
    strength: Strength = None,
    mixed: Mixed = None,
    interpolate: Interpolate = None,
    between: Between = None,
    upscale: Upscale = False,
    cut_prompt: CutPrompt = False,
    settings: Set = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    memory: Memory = None,
    weights: HeldWeights = None,
    compiled: Compiled = False,
    parallel: Parallel = None,
    keep_motion: Annotated[
        Path | None, typer.Option("--keep-motion", help="Write the motion with the positions that this run optimised.")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Cast a lifted motion onto a prompt."""
    early.check_started(parallel)
    early.check_held(model, weights, compiled)
    told = given_files.method_of(motion)
    shorthands = {"steps": steps, "sampler": sampler, "strength": strength, "negative_prompt": negative_prompt}
    given_settings(told, settings, target=targets or None, **shorthands)
    for path, _ in mixed_of(told, mixed):
        given_files.method_of(path)
    _check_between(between, interpolate)
    given_files.check_files(None, picture, loras)
    early.check_begun(model, picture)
    given_files.check_lifted_with(motion, model)
    from motionlift.video.marks import RECORD, VIDEO

    check_outputs(output, VIDEO, RECORD, overwrite=overwrite)
    if keep_motion is not None:
        check_kept(keep_motion, motion, mixed, overwrite)
    foretold = early.foretell(model, prompt, None, upscale)
    from motionlift.cli import unfinished
    from motionlift.cli.progress import Live
    from motionlift.loops.run_folder import is_first_process
    from motionlift.motion.file import Motion
    from motionlift.work import cast as casting
    from motionlift.work import prepare
    from motionlift.work.planning import Asked
    from motionlift.work.record import Costs

    lifted = Motion.load(motion)
    mixtures = mixed_of(lifted.method, mixed)
    given = given_settings(lifted.method, settings, target=targets or None, **shorthands)
    request = prepare.ask(
        lifted.method, given.values, prompt=prompt, seed=seed, motion=lifted, called=given.called, picture=picture
    )
    others = [(Motion.load(path), part) for path, part in mixtures]
    stages = partial(_stages, interpolate=interpolate, between=between, upscale=upscale, device=device, dtype=dtype)
    how_made = {"stages": stages, "cut_prompt": cut_prompt, "parallel": parallel or 1, "compiled": compiled}
    asked = Asked(request, motion=lifted, mixed=others, **how_made, weights=weights)
    if is_planned(asked, model, device, dtype, memory, as_json):
        return
    with Live(quiet, as_json) as live, unfinished.at_work():
        job = _prepared(asked, model, device, dtype, live, loras, memory, foretold)
        video = casting.casted(job, lifted, Costs(job.model, plan=job.plan), live.step)
    if not is_first_process():
        return
    if keep_motion is not None:
        keep_motion = place_now(keep_motion, "", overwrite)
        video.motion.save(keep_motion)
    sources = _sources(motion=motion, picture=picture, kept_motion=keep_motion)
    _finish(video, place_now(output, ".json", overwrite), sources, as_json, job.notices)


def _sources(**paths: Path | None) -> dict[str, str]:
    """Files that a record is to name, of those that were given."""
    return {name: str(path) for name, path in paths.items() if path is not None}


def export(
    motion: Annotated[
        Path, typer.Argument(metavar="MOTION", help="A motion file of a method that tunes.", show_default=False)
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The safetensors file to write.", show_default=False)],
    form: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="READER",
            autocompletion=completing.readers,
            help="Who will read it: diffusers, which kijai's CogVideoX wrapper calls too; comfyui, its core; kohya, for "
            "musubi-tuner; or peft, which loads it into any network.",
        ),
    ] = "diffusers",
    rank: Annotated[
        int | None,
        typer.Option(
            "--rank", metavar="N", parser=whole(1, 1024), help="Write differences of weights as factors of this rank."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write what was tuned as an adapter that other programs load."""
    from motionlift.motion.readers import check_reader
    from motionlift.video.marks import ADAPTER
    from motionlift.video.writing import check_output

    check_reader(form, "--for")
    check_not_same(output, motion)
    check_output(output, ADAPTER, overwrite)
    check_tuned(given_files.method_of(motion))
    from motionlift.motion.file import Motion
    from motionlift.work.export import export_adapter

    written = export_adapter(Motion.load(motion), output, form, rank, overwrite)
    if written.missed is not None:
        share = f"{written.missed:.1%} of what was tuned (root of the squares of the differences)"
        notice([f"factors of rank {rank} miss {share}"])
    wrote(written.paths)


def inspect(
    reference: Reference,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="What to write: .mp4, .webm, .mov, .gif or .webp; a PNG goes beside it."),
    ] = Path("inspect.mp4"),
    method: MethodName = "ditflow",
    preset: Preset = None,
    model: Model = DEFAULT_MODEL,
    loras: Loras = None,
    frames: Frames = None,
    size: Size = None,
    read: Read = None,
    reference_form: ReferenceForm = None,
    source_prompt: SourcePrompt = None,
    subjects: Subjects = None,
    cut_prompt: CutPrompt = False,
    settings: Set = None,
    fps: Fps = None,
    start: Start = 0.0,
    duration: Duration = None,
    fit: Fit = None,
    crop: Crop = None,
    background: Background = "grey",
    every_frame: EveryFrame = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Draw what is lifted from a reference over its frames: displacement as arrows, or attention maps and their masks."""
    shorthands = {"read": read, "source_prompt": source_prompt, "preset": preset, "reference": reference_form}
    given = given_settings(method, settings, subject=subjects or None, **shorthands)
    early.check_words(method, given.read, model)
    pixels = size_of(size)
    part = part_of(start, duration, crop, background, fit)
    given_files.check_files(reference, None, loras)
    from motionlift.video.marks import DRAWING, SHEET

    check_outputs(output, DRAWING, SHEET, reference, overwrite)
    given_files.check_video(reference, part)
    foretold = early.foretell(model, None, frames, size=pixels)
    from motionlift.cli import unfinished
    from motionlift.cli.progress import Live
    from motionlift.motion.drawing import draw_lifted
    from motionlift.video.encoding import write_video
    from motionlift.video.sheets import contact_sheet
    from motionlift.video.writing import companion, replacing
    from motionlift.work import prepare
    from motionlift.work.lift import Lifting, lifted_alone
    from motionlift.work.planning import Asked
    from motionlift.work.record import Costs

    request = prepare.ask(method, given.values, called=given.called)
    aspect = prepare.aspect_of(reference)
    asked = Asked(request, frames, pixels, cut_prompt=cut_prompt, aspect=aspect)
    how = Lifting(fps=fps, fit=fit, every_frame=every_frame, part=part)
    with Live(quiet) as live, unfinished.at_work():
        job = _prepared(asked, model, device, dtype, live, loras, told=foretold)
        live.show("lift", 0, None)
        costs = Costs(job.model, plan=job.plan)
        found = lifted_alone(job, reference, how, costs, live.step)
        live.show("draw", 0, None)
        with found.staying():
            drawn = draw_lifted(found.motion, found.reference)
    notice([*found.reference.notices, *costs.notices], told=job.notices)
    wide = max(drawn.frames.shape[1:3]) > WIDE
    output = place_now(output, ".png", overwrite)
    sheet = companion(output, ".png")
    with found.staying(), replacing(output, DRAWING) as video:
        notice(write_video(video, drawn.frames.numpy(), drawn.fps, DRAWING, output.suffix))
        contact_sheet(drawn, sheet, 2, WIDEST) if wide else contact_sheet(drawn, sheet)
    wrote([output, sheet])


def _previews(previews: int | None, folder: Path | None) -> int:
    """Videos to sample while tuning: as many as asked for, else a few where a folder keeps them."""
    return (PREVIEWS if folder else 0) if previews is None else previews


def _prepared(
    asked: "Asked",
    model: str,
    device: str,
    dtype: str,
    live: "Live",
    loras: Sequence[str] | None,
    memory: str | None = None,
    told: Sequence[str] = (),
) -> "Job":
    """A job on a model that is loaded so that it fits; says what is to be known of it, but for what was told."""
    from motionlift.work.keeping import Kept

    live.show("load", 0, None)
    held, said = HELD.get(), [*told]

    def tell(lines: Sequence[str]) -> None:
        notice(lines, said)
        said.extend(lines)

    earlier = held.models[0] if held is not None and held.models else None
    kept = earlier or Kept(model, memory, device, loras or (), dtype)
    if held is not None and earlier is None:
        held.models.append(kept)
    job = kept.job(asked, tell)
    check_model(job.model.about)
    if earlier is None:
        check_later(asked, job)
    tell(job.notices)
    return job


def _check_between(between: str | None, interpolate: int | None) -> None:
    if between is not None and interpolate is None:
        raise SettingError("--between names the model of --interpolate, which is not given; give it too")


def _stages(
    backbone: "VideoModel", interpolate: int | None, between: str | None, upscale: bool, device: str, dtype: str
) -> list["Stage"]:
    """The stages of a cascade that options ask for."""
    from motionlift.models import loading
    from motionlift.work import cast as casting
    from motionlift.world import upscaling

    stages: list[Stage] = []
    if interpolate is not None:
        stages.append(
            casting.interpolation(loading.load(between, device, dtype=dtype) if between else backbone, interpolate)
        )
    return [*stages, upscaling.super_resolution(device)] if upscale else stages


def _show_beside(video: "Video", place: Path, sound: "Sound | None", overwrite: bool) -> None:
    """Write a video with its reference to the left, frame by frame."""
    from motionlift.video.clip import side_by_side
    from motionlift.video.encoding import Beside, write_video
    from motionlift.video.marks import CLIP
    from motionlift.video.writing import replacing

    assert video.reference is not None
    reference = replace(video.reference, fps=video.clip.fps)
    clip = side_by_side([reference, video.clip], max(SHOWN_HEIGHT, video.clip.frames.shape[1]))
    with replacing(place, CLIP, overwrite) as partial:
        write_video(partial, clip.frames.numpy(), clip.fps, CLIP, place.suffix, Beside(sound=sound))


def _finish(
    video: "Video",
    output: Path,
    added: Mapping[str, Any],
    as_json: bool,
    told: Sequence[str],
    sound: "Sound | None" = None,
    shown: Sequence[Path] = (),
) -> None:
    """Save a video with its record and report; some notices were told before, and some files are written."""
    from motionlift.video.writing import companion

    notice([*video.clip.notices, *video.record.get("notices", ())], told)
    words = COMMAND_LINE.get()
    record = video.save(output, {"command": words, "again": repeatable_words(words[1:]), **added}, sound)
    notice(record["output"].get("notices", ()))
    tell_sameness(video)
    report_costs(record, [output, companion(output, ".json"), *shown], as_json)
