"""Controls, the same beside every experiment on methods: what optimises and tunes nothing, and the strongest of it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from motionlift.bench.frozen import FROZEN
from motionlift.bench.report.estimates import estimate
from motionlift.methods import method as method_named

Kind = Mapping[str, Any]
"""Method and settings, as cells and records have them."""
CONTROLS: Mapping[str, Kind] = {
    "frozen": {"method": FROZEN, "settings": {}},
    "plain sampling": {"method": "none", "settings": {}},
    "injection alone": {"method": "injection", "settings": {}},
    "noise alone, empty prompt": {"method": "none", "settings": {"inversion": True, "beta": 1.0}},
    "noise alone, caption": {"method": "inverted", "settings": {}},
    "0.5 of the noise, empty prompt": {"method": "inverted", "settings": {"inverted_with": "empty", "beta": 0.5}},
    "0.5 of the noise, caption": {"method": "inverted", "settings": {"beta": 0.5}},
    "0.3 of the noise, empty prompt": {"method": "inverted", "settings": {"inverted_with": "empty", "beta": 0.3}},
    "0.3 of the noise, caption": {"method": "inverted", "settings": {"beta": 0.3}},
}
"""By title: an object that stands still, what moves as it likes, injection, and the reference's noise alone, all of it and the
shares that MotionFlow and MotionMatcher begin with, inverted with the empty prompt and with the caption."""


def share_of(kind: Kind) -> float:
    """Share of the reference's noise that videos begin with, by the settings or the method's own default."""
    if kind["method"] == FROZEN:
        return 0.0
    return float(kind["settings"].get("beta", method_named(kind["method"]).Settings().beta))


def controls_at(shares: Collection[float]) -> dict[str, Kind]:
    """Controls that begin with none of the noise, with all of it, or with one of some shares."""
    return {title: kind for title, kind in CONTROLS.items() if share_of(kind) in (0.0, 1.0, *shares)}


def strongest(groups: Mapping[str, Sequence[Mapping[str, Any]]], key: str = "aligned") -> str | None:
    """Title of the control whose mean of an error is least, of those with most references; None where none has it.

    Args:
        groups: records of the controls, by title.
        key: of the error, of which less is better.
    """
    means = {title: found for title, group in groups.items() if (found := estimate([each.get(key) for each in group]))}
    most = max((found.groups for found in means.values()), default=0)
    whole = {title: found.mean for title, found in means.items() if found.groups == most}
    return min(whole, key=whole.__getitem__, default=None)
