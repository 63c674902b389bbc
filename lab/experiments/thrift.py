"""Cheaper guidance than the faster preset: whether some of its gradients can be another step's, or none.

A guided step of the preset looks once. Here some steps do not: they take the gradient of the step before (as FastVMT,
2602.05551, does within a step), or move nothing, or come after the loss has stopped falling. Moving nothing is the control of
the first: a gradient that is taken again has to do more than none.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from torch import Tensor

from lab.experiments.trial import difference, difference_text, refusal, transferred
from motionlift.bench.report.tables import interval, table
from motionlift.loops import sample

NAME = "thrift"
COUNT = 32
PLAIN, FAST = "plain sampling", "the preset `fast`"
AGAIN, NOTHING, FALLING = "every second gradient again", "every second gradient alone", "until its loss stops falling"
WAYS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    PLAIN: ("none", {}),
    **dict.fromkeys((FAST, AGAIN, NOTHING, FALLING), ("ditflow", {"preset": "fast"})),
}
"""Method and settings of each way."""
LEAST_FALL = 0.02
"""Share of its loss by which a look has to be below the one before (set before anything was measured)."""


class Looks:
    """Stands in for what gives a guided step its loss, gradients and output, and leaves some of the looks out.

    Args:
        way: which are left out.
    """

    def __init__(self, way: str) -> None:
        self.way = way
        self.look = sample._all_gradients
        self.losses: list[float] = []
        self.gradients: Sequence[Tensor | None] = ()
        self.ended = False

    def __call__(self, whole: Any, sights: Any, *given: Any) -> tuple[float, Sequence[Tensor | None], Tensor | None]:
        """As what it stands in for."""
        if self.losses and (self.ended or (self.way != FALLING and sights[0].aim.step % 2)):
            again = self.gradients if self.way == AGAIN else [None] * len(self.gradients)
            return self.losses[-1], again, None
        loss, self.gradients, output = self.look(whole, sights, *given)
        fell = not self.losses or loss < (1 - LEAST_FALL) * self.losses[-1]
        self.ended = self.way == FALLING and not fell
        self.losses.append(loss)
        return loss, self.gradients, output


@contextmanager
def looking(way: str) -> Iterator[None]:
    """What is cast meanwhile looks in this way."""
    if way in (PLAIN, FAST):
        yield
        return
    with patch.object(sample, "_all_gradients", Looks(way)):
        yield


def cells(count: int) -> list[dict[str, Any]]:
    """One for each reference and way."""
    return [
        {"index": index, "way": way, "method": method, "settings": dict(settings)}
        for index in range(count)
        for way, (method, settings) in WAYS.items()
    ]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Motion and looks of one video, and the work of lifting and casting it."""
    refused = refusal(cell, model)
    if refused is not None:
        return {"refused": refused}
    with looking(cell["way"]):
        video, found = transferred(cell, model)
    return {**found, "work": video.record["passes"]["work"]}


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for every way."""
    own = {way: [each for each in records if each["way"] == way and "refused" not in each] for way in WAYS}
    text = (
        "## Fewer looks\n\nDiTFlow's preset `fast`, which looks at the video once in each of its guided steps, with fewer looks. "
        "*Work* is in passes of the whole network, beside those of plain sampling. *Every second gradient again*: the steps "
        "between move by the gradient of the step before; *alone*: they do not move. *Until its loss stops falling*: no step "
        f"looks after one whose loss is not {LEAST_FALL:.0%} below that of the look before.\n\n"
    )
    if not own[PLAIN]:
        return text
    plain = sum(each["work"] for each in own[PLAIN]) / len(own[PLAIN])
    rows = [_line(way, each, own[FAST], plain) for way, each in own.items() if each]
    head = ["", "references", "work", "aligned error", "less the preset", "colour, %", "background, %", "shape, %"]
    return text + table(head, rows)


def _line(way: str, own: Sequence[Mapping[str, Any]], fast: Sequence[Mapping[str, Any]], plain: float) -> list[str]:
    work = sum(each["work"] for each in own) / len(own) / plain
    less = "-" if way == FAST else difference_text(difference(own, fast, "aligned"))
    looks = [interval([each[key] for each in own], 100) for key in ("colour", "background", "shape")]
    return [way, str(len(own)), f"{work:.2f}", interval([each["aligned"] for each in own]), less, *looks]
