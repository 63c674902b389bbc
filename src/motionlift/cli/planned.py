"""``motionlift plan``: what a command would take, and whether it fits, in the place of its work."""

import inspect
import json
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import asdict
from functools import wraps
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from motionlift.work.plan import Plan
    from motionlift.work.planning import Asked

IS_ASKED: ContextVar[bool] = ContextVar("IS_ASKED", default=False)
"""Whether the command that runs is only to be planned."""

plans = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Say what a command would take, and whether it fits, without reading weights: plan transfer, plan lift, plan cast.",
)


def planned_only(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the same arguments that is planned alone."""

    @wraps(command)
    def plan(*given: Any, **named: Any) -> None:
        before = IS_ASKED.set(True)
        try:
            command(*given, **named)
        finally:
            IS_ASKED.reset(before)

    plan.__doc__ = f"Plan this: {inspect.getdoc(command)}"
    return plan


def is_planned(asked: "Asked", model: str, device: str, dtype: str, memory: str | None, as_json: bool) -> bool:
    """Whether the command that runs is only to be planned; its plan is printed then.

    Raises:
        MemoryShortError: it does not fit.
        MotionliftError: another of its kinds.
    """
    if not IS_ASKED.get():
        return False
    from motionlift.models.loading import device_named
    from motionlift.work.memory import room
    from motionlift.work.planning import kind_named, planned

    place = device_named(device) if memory is None else kind_named(device)
    plan = planned(asked, model, room(place, memory), dtype)
    if as_json:
        print(json.dumps({**plan.record(), **_more(plan)}, indent=2))
    else:
        _print(plan)
    return True


def _more(plan: "Plan") -> dict[str, Any]:
    """What a plan says beside what records say of it."""
    return {
        "device": plan.room.name,
        "size": {"frames": plan.shape.frames, "height": plan.shape.height, "width": plan.shape.width},
        "tokens": plan.tokens,
        "passes": asdict(plan.passes),
        "main_memory_bytes": plan.main,
        "weights_bytes": {phase.name: phase.weights for phase in plan.phases},
        "seconds": plan.seconds,
    }


def _print(plan: "Plan") -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from motionlift.work.memory import told

    table = Table("phase", *[Column(name, justify="right") for name in ("weights", "beside", "peak")])
    for phase in plan.phases:
        table.add_row(phase.name, *(told(size * plan.factor) for size in (phase.weights, phase.beyond, phase.peak)))
    Console().print(table)
    passes = f"{plan.passes.forward} passes forward and {plan.passes.backward} back"
    print(f"{plan.shape}: {plan.tokens} tokens, {passes}")
    print(f"it fits: {told(plan.need(plan.largest))} of {told(plan.room.bytes)}, most in the phase {plan.largest.name}")
    if plan.room.main is not None:
        need = max(plan.main_need(phase) for phase in plan.phases)
        print(f"beside it at most {told(need)} of {told(plan.room.main)} of main memory")
    print(f"done for that: {plan.taken or 'nothing'}")
    seconds = plan.seconds
    about = "" if seconds is None else "less than a second" if seconds < 1 else f"about {seconds:.0f} seconds"
    print(f"{about}, as measured here before, without loading" if about else "not measured here yet")
