"""The cells of a run: laid out, measured in processes side by side, and gone on with where it was stopped."""

import functools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from motionlift.bench.cell import VIDEOS, Cell, Survey, ended, file_names, measured_cell, record_of, surveyed
from motionlift.bench.completing import at_hand, completable, left_to_measure, videos
from motionlift.bench.measures import check_at_hand
from motionlift.bench.records import CODE, RECORDS, RECORDS_KIND, found
from motionlift.bench.run_file import ModelRun, RunFile
from motionlift.bench.sources import CONTENT
from motionlift.errors import ModelError, OutputError, SettingError
from motionlift.jobs.records import read_lines
from motionlift.jobs.runner import DIED, Pool, recorded
from motionlift.motion.lock import held
from motionlift.video.marks import CLIP
from motionlift.video.writing import check_output, check_place

MOST_CELLS = 20_000
"""Most cells of a run (ours: thirty times the largest bundled one)."""
MOST_REASONS = 3
"""Most reasons that are told why a method leaves out references of one source (ours: captions may each have one of their own)."""

Measure = Callable[[Cell], Mapping[str, Any]]


@dataclass(frozen=True)
class Cells:
    """The cells of a run."""

    count: int
    """How many there are."""
    waiting: tuple[Cell, ...]
    """Those that have no record yet, or one without figures that can be measured now, in the order in which they are begun."""
    left_out: tuple[str, ...]
    """Which methods a model cannot run, and why."""
    lost: int
    """Lines of the file of records that are no record, such as one that was cut off."""
    records: Path
    """The file of records."""
    unknown: tuple[str, ...] = ()
    """Lines on words that a model does not know."""
    failed: int = 0
    """How many failed before, and are not measured again."""

    @property
    def incomplete(self) -> int:
        """How many of those that wait are measured but for figures that were left out."""
        return sum(cell.record is not None for cell in self.waiting)

    def measured(self, workers: Pool, measure: Measure = measured_cell) -> Iterator[dict[str, Any]]:
        """Measure what waits; every record is in the file before it is yielded.

        Raises:
            OutputError: nothing can be written any more.
        """
        yield from recorded(workers, functools.partial(record_of, measure=measure), self.waiting, ended, self.records)


@contextmanager
def at_work(run: RunFile, pool: AbstractContextManager[Pool]) -> Iterator[Pool]:
    """Hold a run's output folder, made if need be, and start processes.

    Raises:
        InputError: references or prompts cannot be read.
        OutputError: the folder cannot be written, or another run is at work in it.
        SettingError: the run asks for too many cells.
    """
    _check_count(run)
    with pool as workers, held(run.output):
        yield workers


def lay_out(run: RunFile, workers: Pool, again: bool = False) -> Cells:
    """The cells of a run, and which of them are still to be measured.

    Args:
        run: what is asked for.
        workers: where the models are loaded, to see what they run.
        again: count those that failed, and those that do not name their code, as not measured.

    Raises:
        InputError: references or prompts cannot be read.
        ModelError: there is no such model, tracker or CLIP model.
        OutputError: the output folder cannot be written, or a file in it would be replaced that motionlift did not write.
        SettingError: a method that none of the models runs on any reference.
    """
    check_at_hand(run.measuring)
    records = run.output / RECORDS
    _make(run.output)
    check_output(records, RECORDS_KIND)
    surveys = dict(workers.each(functools.partial(_survey, run), run.models, _died))
    surveys = {model: surveys[model] for model in run.models}
    _check_methods(run, surveys)
    _make(run.output / VIDEOS)
    contents = [source.contents() for source in run.references]
    cells = [cell for model, survey in surveys.items() for cell in _cells(run, model, survey, contents)]
    stated = {json.dumps(cell.stated()): cell for cell in cells}
    lines = read_lines(records)
    done = [record for record in lines.records if not (again and ("error" in record or CODE not in record))]
    known = dict(zip(stated, found([cell.stated() for cell in stated.values()], done), strict=True))
    waiting = list(_waiting(stated, known, _at_hand(known.values(), workers)))
    for cell in waiting:
        check_place(cell.folder / VIDEOS / file_names(cell, 0)["video"], CLIP)
    left_out = [line for model, survey in surveys.items() for line in _left_out(run, model, survey)]
    unknown = tuple(survey.unknown for survey in surveys.values() if survey.unknown)
    failed = sum(record is not None and "error" in record for record in known.values())
    return Cells(len(stated), tuple(waiting), tuple(left_out), lines.lost, records, unknown, failed)


def _at_hand(records: Iterable[Mapping[str, Any] | None], workers: Pool) -> tuple[str, ...]:
    """Figures that some record left out for want of what is at hand now."""
    names = completable()
    wanted = tuple(name for name in names if any(record and left_to_measure(record, [name]) for record in records))
    return next(iter(workers.each(at_hand, [wanted], lambda _: ()))) if wanted else ()


def _waiting(
    cells: Mapping[str, Cell], known: Mapping[str, Mapping[str, Any] | None], names: Sequence[str]
) -> Iterator[Cell]:
    """Cells without a record, and those whose record lacks figures that can be measured now, if their videos are there."""
    for place, cell in cells.items():
        record = known[place]
        if record is None:
            yield cell
        elif (lacking := left_to_measure(record, names)) and videos(record, cell.folder):
            yield replace(cell, record=record, lacking=tuple(lacking))


def _left_out(run: RunFile, model: ModelRun, survey: Survey) -> Iterator[str]:
    """What a model does not run, and why: whole methods, and cells of references of which too little is said."""
    for title, reason in survey.refused.items():
        yield f"{title} on {model}: {reason}"
    for (title, number), cells in survey.refused_cells.items():
        source = run.references[number]
        reasons = Counter(cells.values())
        if len(reasons) > MOST_REASONS:
            yield f"{title} on {model}, {source.kind}: {len(reasons) - MOST_REASONS} reasons more than these:"
        for reason, count in reasons.most_common(MOST_REASONS):
            some = f" ({count} of {source.size()} prompts)" if count < source.size() else ""
            yield f"{title} on {model}, {source.kind}{some}: {reason}"


def _survey(run: RunFile, model: ModelRun) -> tuple[ModelRun, Survey]:
    return model, surveyed(model, run.methods, run.references, run.place)


def _died(model: ModelRun) -> NoReturn:
    raise ModelError(f"model {str(model)!r} cannot be loaded: {DIED}")


def _cells(run: RunFile, model: ModelRun, survey: Survey, contents: Sequence[Mapping[str, str]]) -> Iterator[Cell]:
    """Reference after reference with all its methods, so that a run that is stopped can be compared.

    Cells that lift the same come apart by at least the number of methods: the later ones find the motion in the cache.
    """
    methods = [method for method in run.methods if method.title in survey.states]
    for number, (source, known) in enumerate(zip(run.references, contents, strict=True)):
        for asked in source.asked(survey.frames):
            content = {CONTENT: known[asked.reference]} if asked.reference in known else {}
            for seed in (asked.number,) if run.seeds is None else run.seeds:
                for method in methods:
                    if (asked.reference, asked.kind) in survey.refused_cells.get((method.title, number), {}):
                        continue
                    state = {**survey.states[method.title], **content}
                    yield Cell(model, method, source, asked, seed, run.measuring, state, run.output, place=run.place)


def _check_count(run: RunFile) -> None:
    """Refuse more cells than are ever wanted, before they are laid out."""
    parts = {
        "models": len(run.models),
        "methods": len(run.methods),
        "prompts of references": sum(source.size() for source in run.references),
        "seeds": len(run.seeds or (0,)),
    }
    cells = math.prod(parts.values())
    if cells > MOST_CELLS:
        product = " x ".join(f"{count} {name}" for name, count in parts.items())
        raise SettingError(f"the run asks for {cells} cells ({product}); at most {MOST_CELLS} are taken: split it")


def _check_methods(run: RunFile, surveys: Mapping[ModelRun, Survey]) -> None:
    """Refuse a method that none of the models runs on any reference."""
    for method in run.methods:
        reasons = [_refusal(run, survey, method.title) for survey in surveys.values()]
        if all(reasons):
            raise SettingError(f"{method.title}: {reasons[0]}")


def _refusal(run: RunFile, survey: Survey, title: str) -> str | None:
    """Why a model runs a method on no reference at all; None where it runs it on some."""
    if title in survey.refused:
        return survey.refused[title]
    cells = [survey.refused_cells.get((title, number), {}) for number in range(len(run.references))]
    if any(len(own) < source.size() for own, source in zip(cells, run.references, strict=True)):
        return None
    return next(iter(cells[0].values()))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; choose another output") from error
