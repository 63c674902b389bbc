"""Run experiments and write the results: ``python -m lab.experiments [NAME ...] [--jobs N]``."""

import argparse
import functools
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from lab.experiments import (
    comparison,
    exchange,
    fast_turning,
    footage,
    ghosts,
    given_picture,
    intervals,
    inversion,
    kinds,
    lag,
    longer,
    looks,
    masks,
    metric_checks,
    reconstruction,
    retrieval,
    saved_positions,
    several_seeds,
    signal,
    speed,
    stages,
    sweep,
    things,
    thrift,
    told_motion,
    told_unlike,
    trackers,
)
from lab.experiments.trial import is_chosen
from motionlift.bench.cells import RECORDS
from motionlift.bench.records import CODE, missing
from motionlift.bench.report.mixed import mixed_code, unsaid_measures
from motionlift.bench.report.tables import HOW_SURE
from motionlift.bench.state import code_for, defaults_of, fingerprint_of
from motionlift.core.model import Model
from motionlift.errors import OutputError
from motionlift.jobs.records import append_record, read_records
from motionlift.jobs.runner import DIED
from motionlift.jobs.workers import Workers
from motionlift.models.loading import load
from motionlift.models.sources import BUNDLED_MODELS
from motionlift.work.record import versions

EXPERIMENTS: Mapping[str, ModuleType] = {
    module.NAME: module
    for module in (
        *(looks, reconstruction, exchange, signal, masks, inversion, retrieval, stages, comparison, things, kinds),
        *(speed, thrift, saved_positions, several_seeds, sweep, told_motion, given_picture, told_unlike),
        *(ghosts, fast_turning, longer, lag),
        *(footage, intervals, trackers, metric_checks),
    )
}
"""By name, in the order of the page. All measure cells of their own, but for :data:`COMPARISONS`."""
COMPARISONS = (comparison.NAME, things.NAME, kinds.NAME)
"""Those that are runs of ``motionlift bench``."""
MODEL_FREE = (intervals.NAME, trackers.NAME, metric_checks.NAME)
"""Experiments that need no model: they are run once, and their records name none."""
OF_A_TASK = ("method", "settings", "source", "reference", "prompt", "seed")
"""Keys that say the cell of a record of a run of bench."""
ON_REQUEST = (fast_turning.NAME, kinds.NAME)
"""Experiments that are run where they are named: they take days."""
NO_MODEL = "no model"
"""In the place of a model's name for those."""
HEAD = f"""# Results

Measured by `make results` (`python -m lab.experiments`) with the bundled models on the bundled world, whose motion is
known exactly. Every figure below was written by that command; the records it was made from lie in `docs/results/`.
{HOW_SURE} How often such intervals hold the truth is measured [below](#intervals). p is how often a difference as
large, either way, comes by chance: of the ways of flipping the signs of all references' differences.

"""


@functools.cache
def _loaded(model: str) -> Model:
    """A bundled model, read once: what records carry is asked of it for every method."""
    return load(model)


@functools.cache
def fingerprint(model: str) -> str:
    """Start of the model's fingerprint: every record carries it, so that weights trained anew are measured anew."""
    return fingerprint_of(_loaded(model))


@functools.cache
def defaults(model: str, method: str) -> str:
    """Start of a hash of a method's settings for the model: records carry it too, since most runs build on them."""
    return defaults_of(method, _loaded(model))


@functools.cache
def code(model: str, method: str) -> str:
    """Hash of the code that a method runs through on the model, which records carry as well."""
    return code_for(method, _loaded(model))


def stated(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """A cell with what it is to be measured of; a cell without a method only samples."""
    if model == NO_MODEL:
        return dict(cell)
    return {**cell, **_measured_of(cell, model), CODE: code(model, cell.get("method", "none"))}


def current(record: Mapping[str, Any], model: str) -> bool:
    """Whether a record is of the model and of the defaults as they are; of which code it is, the page says."""
    return model == NO_MODEL or _measured_of(record, model).items() <= record.items()


def _measured_of(cell: Mapping[str, Any], model: str) -> dict[str, str]:
    return {"model": fingerprint(model), "defaults": defaults(model, cell.get("method", "none"))}


def measure_cell(name: str, cell: Mapping[str, Any], model: str, extent: int | Path) -> dict[str, Any]:
    """One record: the cell and its figures."""
    where = (extent,) if isinstance(extent, Path) else ()
    return {**cell, **EXPERIMENTS[name].measure(cell, model, *where)}


def run(
    name: str,
    path: Path,
    model: str,
    jobs: int,
    extent: int | Path,
    told: Callable[[str], None],
    methods: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    """Measure the missing cells in ``jobs`` processes, appending each to the file as it comes.

    The extent of an experiment is how many clips of the world it takes, or the folder of its videos. Where methods are named, cells
    of others are left for another time.
    """
    cells = [
        cell
        for cell in EXPERIMENTS[name].cells(extent)
        if is_chosen(cell.get("method", "none"), cell.get("settings", {}), methods)
    ]
    cells = [stated(cell, model) for cell in cells]
    cells = missing(cells, read_records(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    work = functools.partial(measure_cell, name, model=model, extent=extent)
    with Workers(jobs) as workers:
        for number, record in enumerate(workers.each(work, cells, _died), 1):
            append_record(path, record)
            told(f"{name}: {number} of {len(cells)}")
            yield record


def _died(cell: Mapping[str, Any]) -> NoReturn:
    raise OutputError(f"{cell} was not measured: {DIED}; run it again with --jobs 1")


def write_results(folder: Path, page: Path, models: Sequence[str]) -> None:
    """The page: a part for each model, from the records that there are of it and its present defaults."""
    text = HEAD
    shown: list[tuple[str, dict[str, Any]]] = []
    for model in models:
        records = [record for name in EXPERIMENTS for record in _records(folder, name, model)]
        shown += [(f"{record.get('method', 'none')} on {model}", record) for record in records]
        part = _part(folder, model, [model]) + _stale(folder, model)
        text += f"## `{model}`\n\nIts fingerprint is `{fingerprint(model)}`.\n\n{part}" if part else ""
    measuring = _part(folder, NO_MODEL, models)
    text += f"## The measures themselves\n\n{measuring}" if measuring else ""
    told = [*mixed_code(shown), *unsaid_measures(record for _, record in shown)]
    text += "".join(f"Note: {each}.\n\n" for each in told)
    about = ", ".join(f"{name} {value}" for name, value in versions().items() if name != "platform")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"{text}Versions: {about}.\n", encoding="utf-8")


def _part(folder: Path, model: str, beside_of: Sequence[str]) -> str:
    """What was measured of a model and its present defaults; or, of none, of the measures themselves.

    Args:
        folder: of the records.
        model: its name, or :data:`NO_MODEL`.
        beside_of: models of whose records an experiment gets those that it sets its own beside.
    """
    part, failed = "", []
    for name, experiment in EXPERIMENTS.items():
        if (name in MODEL_FREE) != (model == NO_MODEL):
            continue
        records = _records(folder, name, model)
        if records:
            beside = [
                [record for own in beside_of for record in _records(folder, other, own)]
                for other in getattr(experiment, "BESIDE", ())
            ]
            part += experiment.section(records, *beside).replace("## ", "### ") + "\n"
            failed += experiment.failed(records) if hasattr(experiment, "failed") else []
    listed = "".join(f"- {each}\n" for each in failed)
    told = f"### What did not work\n\n{listed}\n" if failed else ""
    return told + part


def _stale(folder: Path, model: str) -> str:
    """Which records of a model are of other weights or defaults than the present ones, and of nothing that was measured since."""
    told = []
    for name in EXPERIMENTS.keys() - MODEL_FREE:
        done = {_cell_of(record) for record in _records(folder, name, model)}
        old = {_cell_of(record): record for record in _of_model(folder, name, model) if _cell_of(record) not in done}
        methods = Counter(record.get("method", "sampling") for record in old.values())
        counts = ", ".join(f"{count} of {method}" for method, count in sorted(methods.items()))
        told += [f"*{name}*: {counts}"] if methods else []
    if not told:
        return ""
    return (
        "### Stale records\n\nMeasured under other defaults or weights than the present ones, and left out until "
        f"`python -m lab.experiments` measures them anew: {'; '.join(sorted(told))}.\n\n"
    )


def _of_model(folder: Path, name: str, model: str) -> list[dict[str, Any]]:
    """All records of a model, whatever its defaults were; those of a run of bench also of other weights."""
    if name in COMPARISONS:
        return [record for record in read_records(folder / name / RECORDS) if record["model"] == model]
    return [record for record in read_records(folder / f"{name}.jsonl") if record.get("model") == fingerprint(model)]


def _records(folder: Path, name: str, model: str) -> list[dict[str, Any]]:
    if name in COMPARISONS:
        return comparison.records_of(folder / name, model, fingerprint(model), functools.partial(defaults, model))
    found = [record for record in read_records(folder / f"{name}.jsonl") if current(record, model)]
    return found if model == NO_MODEL else list({_cell_of(record): record for record in found}.values())


def _cell_of(record: Mapping[str, Any]) -> str:
    """The cell of a record as text: what stands before the model, see :func:`stated`. Of those of several codes the last counts.

    A record of a run of bench begins with the model; its cell is what it says of the task.
    """
    if "source" in record:
        return json.dumps([record[key] for key in OF_A_TASK])
    return json.dumps(dict(itertools.takewhile(lambda item: item[0] != "model", record.items())))


def _measured(name: str, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What an experiment lacks."""
    if name in COMPARISONS:
        where = asked.records / name
        yield from comparison.run(name, where, asked.models, asked.jobs, asked.count, print, asked.methods)
        return
    extent = asked.clips if name == footage.NAME else asked.count or EXPERIMENTS[name].COUNT
    for model in [NO_MODEL] if name in MODEL_FREE else asked.models:
        yield from run(name, asked.records / f"{name}.jsonl", model, asked.jobs, extent, print, asked.methods)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.experiments", description=__doc__)
    usual = [name for name in EXPERIMENTS if name not in ON_REQUEST]
    parser.add_argument("names", nargs="*", default=usual, help=f"experiments: {', '.join(EXPERIMENTS)}")
    parser.add_argument("--models", nargs="+", default=list(BUNDLED_MODELS))
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--clips", type=Path, help="folder of MP4 files for footage, which is left out without it")
    parser.add_argument("--count", type=int, help="clips; by default each experiment's own")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=(),
        help="measure cells of these alone, and the others another time: vmc, 'vmc beta=0.0' as tables have it, or 'vmc defaults'",
    )
    parser.add_argument("--records", type=Path, default=Path("docs/results"), help="folder of the records")
    parser.add_argument("--page", type=Path, default=Path("docs/results.md"))
    arguments = parser.parse_args()
    unknown = set(arguments.names) - EXPERIMENTS.keys()
    if unknown:
        parser.error(f"unknown experiment {', '.join(sorted(unknown))}; allowed are {', '.join(EXPERIMENTS)}")
    if arguments.jobs < 1 or (arguments.count is not None and arguments.count < 1):
        parser.error("--jobs and --count are at least 1")
    if arguments.clips is not None and not any(arguments.clips.glob("*.mp4")):
        parser.error(f"{arguments.clips} holds no MP4 file")
    for name in arguments.names:
        if name == footage.NAME and arguments.clips is None:
            continue
        for _ in _measured(name, arguments):
            pass
        write_results(arguments.records, arguments.page, list(dict.fromkeys([*BUNDLED_MODELS, *arguments.models])))
