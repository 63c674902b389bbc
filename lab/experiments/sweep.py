"""Settings of the guided methods on the bundled models, one changed at a time from the defaults: sweeps and ablations."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.experiments.controls import CONTROLS, controls_at, share_of, strongest
from lab.experiments.trial import HEAD, averages, difference, difference_text, held_still, refusal, transferred
from motionlift.bench.frozen import FROZEN
from motionlift.bench.report.tables import table

NAME = "sweep"
COUNT = 32
"""References: few settings on many, since of four no difference is told but the largest."""
FIRST = 1000
"""The sweep's references begin here, apart from those of the comparison."""
INERT, FEWEST_INERT = 0.002, 4
"""Largest change of the aligned error that is none, a share of the frame, an eighth of a pixel of 64; and fewest references of
which it is told (ours)."""
ROUNDING = 3e-5
"""Largest change of the aligned error from run to run of the same settings (as measured, of VMC). A change to what is the default
anyway stays below it, and is not meant."""
Changes = Mapping[str, Sequence[Mapping[str, Any]]]
SAMPLED: Changes = {
    "guided share": [{"share": value} for value in (0.1, 0.5)],
    "learning rate": [{"lr": value, "lr_end": value} for value in (0.005, 0.02)],
    "optimiser": [{"optimizer": "adam", "lr": 0.01, "lr_end": 0.01}],
    "block": [*[{"block": number} for number in (1, 3, 5)], {"block": [1, 4]}],
    "injection": [{"inject": False}],
}
"""Of DiTFlow and of the baselines that it is compared with, all the same: a baseline is as well chosen for as the method."""
DITFLOW: Changes = {
    **SAMPLED,
    "temperature": [{"temperature": value} for value in (1.0, 8.0)],
    "entries": [{"threshold": -1.0}, {"mutual": True}],
}
MOFT: Changes = {**SAMPLED, "channels": [{"channel_share": value} for value in (0.02, 0.1)]}
MOTIONFLOW: Changes = {
    "threshold": [{"tau": value} for value in (0.2, 0.6, 0.8)],
    "losses": [{"cross": 0.0}, {"spatial": 0.0}, {"temporal": 0.0}],
    "guided share": [{"share": value} for value in (0.1, 0.2, 0.6)],
    "start": [{"beta": value} for value in (0.0, 1.0)],
    "learning rate": [{"lr": value, "lr_end": value} for value in (0.01, 0.1)],
    "losses as they are": [
        {"balance": "none", "optimizer": "rms", "lr": 0.01, "lr_end": 0.01, "inner": 5},
        {"balance": "none", "optimizer": "rms"},
        {"balance": "none", "lr": 5.0, "lr_end": 5.0},
    ],
    "as in the paper": [{"preset": "paper"}],
}
FROM_FRESH = "from fresh noise"
"""Title of what is varied of them."""
FRESH: Sequence[Mapping[str, Any]] = [
    {"beta": 0.0},
    *[{"beta": 0.0, "sampler": name} for name in ("ddpm", "dpm-sde")],
    {"beta": 0.0, "tuning_steps": 400},
]
"""What was tuned, alone: by either kind of sampler and after as many steps as both programs take (of MotionMatcher seven of eight
configurations). Of flows, which have no DDPM, the sampler with fresh noise is ``dpm-sde``; with a share of the inverted noise it is
not tried, since nothing is left of that after a first step from a level without signal."""
VMC: Changes = {
    "strength": [{"strength": 0.0}, {"beta": 0.3, "strength": 0.0}],
    "loss": [{"form": value} for value in ("l2", "released", "clean", "noise")],
    "prompt": [{"reduced": value} for value in (True, False)],
    "attention": [{"attention": "spatial"}],
    "start": [{"beta": value} for value in (0.0, 0.3)],
    FROM_FRESH: FRESH,
    "fresh noise in every step": [
        *[{"sampler": "ddpm"}, {"beta": 0.3, "sampler": "ddpm"}],
        *[{**start, "strength": 0.0, "sampler": "ddpm"} for start in ({"beta": 0.0}, {"beta": 0.3}, {})],
    ],
    "tuning steps": [{"tuning_steps": 400}],
}
MOTIONMATCHER: Changes = {
    "strength": [{"strength": 0.0}, {"beta": 1.0, "strength": 0.0}],
    "features": [{"temporal": 0.0}, {"cross": 0.0}],
    "start": [{"beta": value} for value in (0.0, 1.0)],
    FROM_FRESH: FRESH,
    "fresh noise in every step": [
        *[{"sampler": "ddpm"}, {"beta": 1.0, "sampler": "ddpm"}],
        *[{**start, "strength": 0.0, "sampler": "ddpm"} for start in ({"beta": 0.0}, {}, {"beta": 1.0})],
    ],
    "tuning steps": [{"tuning_steps": 400}],
    "share left alone": [{"clean_share": 0.0}],
}
FLOWMOTION: Changes = {
    "guided share": [{"share": 0.1}],
    "learning rate": [{"lr": 0.003, "lr_end": 0.003}],
    "losses": [{"alignment": 0.0}, {"differences": 0.0}],
    "velocity": [{"orthogonal": value} for value in (0.0, 1.0)],
}
CHANGES: Mapping[str, Changes] = {
    "ditflow": DITFLOW,
    "smm": SAMPLED,
    "moft": MOFT,
    "motionflow": MOTIONFLOW,
    "vmc": VMC,
    "motionmatcher": MOTIONMATCHER,
    "flowmotion": FLOWMOTION,
}
"""What is varied for every method; the defaults themselves are measured once."""
STEEPER: Changes = {
    "learning rate": [{"lr": value, "lr_end": value} for value in (0.015, 0.06)],
    "block": [{"block": 6}, {"block": [3, 6]}],
}
ALONE: Mapping[str, Mapping[str, Changes]] = {
    "tiny-wan": {
        "ditflow": {
            **STEEPER,
            "temperature": [{"temperature": value} for value in (4.0, 16.0)],
            "optical flow": [
                {"read": "flow"},
                *[{"read": "flow", **change} for change in ({"block": 3}, {"threshold": 0.0}, {"temperature": 4.0})],
            ],
        },
        "smm": STEEPER,
        "moft": STEEPER,
        "flowmotion": {
            "guided share": [{"share": value} for value in (0.2, 0.6)],
            "learning rate": [{"lr": value, "lr_end": value} for value in (0.05, 0.2)],
        },
    }
}
"""What is varied on one model alone, since its defaults lie elsewhere: half and double, and blocks that know of motion."""
TUNED: Mapping[str, Mapping[float, str]] = {
    "vmc": {0.0: "plain sampling", 0.3: "0.3 of the noise, empty prompt", 1.0: "noise alone, empty prompt"},
    "motionmatcher": {0.0: "plain sampling", 0.3: "0.3 of the noise, caption", 1.0: "noise alone, caption"},
}
"""Methods of which it is told what tuning adds to the noise that videos begin with; by its share, the control that is the same to
the bit as the method with nothing of what was tuned (``tests/work/test_strength.py``), with the model's own sampler."""
STARTS, WAYS = (0.0, 0.3, 1.0), ("own", "ddpm")
"""Shares of the noise, and samplers, at which it is told."""
ONE_CLIP = (
    "All that was tuned was tuned to one clip, which is what the methods take: tuning to several clips of one motion, such as "
    "ten of one path, was not tried."
)
"""What is said below the tables from fresh noise."""


@dataclass(frozen=True)
class Change:
    """A change of a method's defaults."""

    method: str
    """The method."""
    group: str
    """What is varied."""
    settings: Mapping[str, Any]
    """What differs from the defaults."""
    only: str = ""
    """The model that it is tried on, where it is one alone."""

    @property
    def title(self) -> str:
        """The settings in words."""
        return _title(self.settings)


def _title(settings: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items())


def _changes() -> Iterator[Change]:
    for method, groups in CHANGES.items():
        for name, changes in groups.items():
            for settings in changes:
                yield Change(method, name, settings)
    for model, own in ALONE.items():
        for method, groups in own.items():
            for name, changes in groups.items():
                for settings in changes:
                    yield Change(method, name, settings, model)


def _kinds() -> list[Mapping[str, Any]]:
    """Every control, the defaults of every method and every change, each once."""
    kinds: list[Mapping[str, Any]] = [*CONTROLS.values(), *[{"method": method, "settings": {}} for method in CHANGES]]
    kinds += [
        {"method": change.method, "settings": dict(change.settings), **({"only": change.only} if change.only else {})}
        for change in _changes()
    ]
    return [kind for place, kind in enumerate(kinds) if kind not in kinds[:place]]


def cells(count: int) -> list[dict[str, Any]]:
    """One for each change and reference, and for each control."""
    kinds = _kinds()
    return [{"index": index, **kind} for index in range(FIRST, FIRST + count) for kind in kinds]


def measure(cell: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Lift, cast, measure; or why the model cannot, or is not to."""
    refused = refusal(cell, model)
    if cell.get("only", model) != model:
        refused = f"tried on {cell['only']} alone"
    if refused is not None:
        return {"refused": refused}
    if cell["method"] == FROZEN:
        return held_still(cell, model)
    video, measured = transferred(cell, model, cached=True)  # what changes in casting alone need not be lifted anew
    return {**measured, "losses": video.record["losses"][-1:]}


def rows_of(records: Sequence[Mapping[str, Any]], method: str, settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What was measured of a method with settings."""
    kind = {"method": method, "settings": settings}
    return [record for record in records if kind.items() <= record.items() and "refused" not in record]


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """A table for every method and setting; what the model refuses, such as a block that it does not have, is left out."""
    references = len({record["index"] for record in records})
    controls = {title: rows_of(records, **kind) for title, kind in CONTROLS.items()}
    best = strongest(controls)
    text = (
        f"## Sweeps\n\n{references} references apart from those above; one setting changed at a time. Differences are those of the "
        "aligned error, on the same references: from the method's defaults, and from the strongest "
        f"control by its mean{f', *{best}*' if best else ''}.\n{_no_longer(records)}"
    )
    for method in CHANGES:
        for name in dict.fromkeys(change.group for change in _changes() if change.method == method):
            changes = [change for change in _changes() if (change.method, change.group) == (method, name)]
            if any(rows_of(records, method, change.settings) for change in changes):
                text += f"\n### {method}: {name}\n\n{_table(records, changes, controls)}"
                text += f"\n{ONE_CLIP}\n" if name == FROM_FRESH else ""
        text += _by_start(records, method) if method in TUNED else ""
    return text


def _table(
    records: Sequence[Mapping[str, Any]],
    changes: Sequence[Change],
    controls: Mapping[str, Sequence[Mapping[str, Any]]],
) -> str:
    """Controls that begin as the rows do, with the strongest of all; the defaults; what is changed; the changes."""
    method = changes[0].method
    references, best = len({record["index"] for record in records}), strongest(controls)
    rows_there = [("defaults", {}), *[(each.title, each.settings) for each in changes]]
    begin = {share_of({"method": method, "settings": settings}) for _, settings in rows_there}
    compared, others = rows_of(records, method, {}), controls.get(best or "", ())
    shown = [(title, controls[title], False) for title in CONTROLS if title in controls_at(begin) or title == best]
    shown += [(title, rows_of(records, method, settings), True) for title, settings in rows_there]
    rows = []
    for title, chosen, is_own in shown:
        if chosen:
            few = f" ({len(chosen)} of {references})" if len(chosen) < references else ""
            less = [difference_text(difference(chosen, each, "aligned")) for each in (compared, others)]
            less = [less[0] if chosen != compared else "-", less[1]] if is_own else ["-", "-"]
            rows.append([title + few, *averages(chosen), *less])
    return table(["", *HEAD, "less defaults", "less the strongest control"], rows)


def _by_start(records: Sequence[Mapping[str, Any]], method: str) -> str:
    """What tuning adds to the noise that videos begin with, by their share of the reference's and by the sampler."""
    rows = []
    for way, start in itertools.product(WAYS, STARTS):
        tuned = rows_of(records, method, _at(method, way, start))
        alone = rows_of(records, method, {**_at(method, way, start), "strength": 0.0})
        if way == WAYS[0]:
            alone = max(alone, rows_of(records, **CONTROLS[TUNED[method][start]]), key=len)
        if tuned and alone:
            means = [averages(each)[0] for each in (alone, tuned)]
            rows.append([way, f"{start:g}", *means, difference_text(difference(tuned, alone, "aligned"))])
    if not rows:
        return ""
    return (
        f"\n### {method}: with and without what was tuned\n\nAligned error by the share of the reference's noise that videos begin "
        "with (beta) and by the sampler: the model's own, which adds no noise, or with fresh noise in every step.\n\n"
        + table(["sampler", "beta", "nothing tuned", "tuned", "tuned less nothing tuned"], rows)
    )


def _at(method: str, way: str, start: float) -> dict[str, Any]:
    """The settings of a start and a sampler, as the changes have them: without what is the default."""
    own = share_of({"method": method, "settings": {}})
    return {**({} if start == own else {"beta": start}), **({} if way == WAYS[0] else {"sampler": way})}


def _no_longer(records: Sequence[Mapping[str, Any]]) -> str:
    """How many records are of settings that are not swept any more."""
    swept = [{name: kind[name] for name in ("method", "settings")} for kind in _kinds()]
    kinds = [{name: record[name] for name in ("method", "settings")} for record in records]
    left_out = Counter(kind["method"] for kind in kinds if kind not in swept)
    if not left_out:
        return ""
    told = ", ".join(f"{count} of {method}" for method, count in sorted(left_out.items()))
    return f"\nRecords of settings that are swept no longer, and not shown: {told}.\n"


def failed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Changes that change nothing: what they switch or set does not act. And what was tuned and carries nothing by itself."""
    inert: dict[str, list[str]] = {}
    for change in _changes():
        base = {record["index"]: record["aligned"] for record in rows_of(records, change.method, {})}
        own = [record for record in rows_of(records, change.method, change.settings) if record["index"] in base]
        differences = [abs(record["aligned"] - base[record["index"]]) for record in own]
        if len(own) >= FEWEST_INERT and ROUNDING < max(differences) < INERT:
            inert.setdefault(change.method, []).append(change.title)
    told = "; ".join(f"{method} {', '.join(dict.fromkeys(changes))}" for method, changes in inert.items())
    said = [f"Settings that change the aligned error of no reference by more than {INERT}: {told}."] if told else []
    return said + _from_fresh_noise(records)


def _from_fresh_noise(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was tuned and, without any of the reference's noise, is no better than the strongest control without any."""
    controls = {title: rows_of(records, **kind) for title, kind in CONTROLS.items() if share_of(kind) == 0}
    best = strongest(controls)
    told = []
    for method, settings in itertools.product(TUNED, FRESH):
        own = rows_of(records, method, settings)
        found = difference(own, controls[best], "aligned") if best else None
        if found is not None and not (found.is_apart and found.mean < 0):
            told.append(f"{method} {_title(settings)} ({found.mean:+.3f}, p {found.p:.2g})")
    return (
        [f"From fresh noise what was tuned is no better than {best}, in the aligned error: {', '.join(told)}."]
        if told
        else []
    )
