"""What there is to choose from: the models, the methods and their settings."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from motionlift.core.method import Method
from motionlift.core.method_settings import Guided, Sampled, Tuned
from motionlift.core.presets import Constants
from motionlift.core.settings import described
from motionlift.methods import methods
from motionlift.models.facts import Facts, served
from motionlift.models.loading import CARD, load
from motionlift.models.sources import BUNDLED, BUNDLED_MODELS
from motionlift.models.unserved import NOT_SERVED
from motionlift.work.foreseen import words_of
from motionlift.work.matching import matrix
from motionlift.work.memory import Room
from motionlift.work.planning import Asked, planned
from motionlift.work.prepare import ask

LICENCE = "Apache-2.0"
"""Of the bundled weights, as of all of the package."""
PUBLISHED_MEMORY = Path(__file__).parents[1] / "models" / "published_memory.json"
"""What networks of published models take, by families, as ``python -m lab.families_page`` counts it on the meta device."""
MOST_ROOM = 2**40
"""Memory with which no measure is taken, bytes (ours)."""


def print_models() -> None:
    """The bundled models with their words and figures, the pipelines that are served, and those that are not."""
    for name in BUNDLED_MODELS:
        print(f"{name}: bundled; its words are {', '.join(_words(name))}")
        card = BUNDLED / name / CARD
        for figure, value in json.loads(card.read_text(encoding="utf-8")).items() if card.is_file() else ():
            print(f"  {figure}: {value}")
    for facts in served():
        print(f"{', '.join(facts.pipelines)}: a folder or hub name of any such pipeline (family {facts.family})")
        rate = "" if facts.fps is None else f", {facts.fps:g} frames a second"
        print(f"  size {facts.size}{rate}; {facts.steps} steps, guidance {facts.cfg:g}; {facts.sampling}")
        print(f"  sizes by the shape of a reference: {facts.aspects}")
        print(f"  --sampler {', '.join(facts.samplers)}; licence of the published weights: {facts.licence}")
        lacking = {"words": facts.words, "positions": facts.positions, "pictures": facts.pictures}
        if not all(lacking.values()):
            print(f"  not for it: {', '.join(name for name, there in lacking.items() if not there)}")
    for names, reason in NOT_SERVED.items():
        print(f"not served: {', '.join(names)}: {reason}")


def listed_models() -> list[dict[str, Any]]:
    """The bundled models, then every family of pipelines that is served: sizes, rates, licence, and what a transfer takes.

    Memory of a bundled model is what the planner says of a transfer by ``ditflow`` on a CPU. Of a family it is what the network of
    its smallest published model takes in bfloat16, weights and a guided pass at its own size; all that were counted are listed.
    """
    bundled = [_listed_bundled(name) for name in BUNDLED_MODELS]
    return [*bundled, *[_listed_family(facts) for facts in served()]]


def _listed_bundled(name: str) -> dict[str, Any]:
    asked = Asked(ask("ditflow", prompt="a red star on a grey plain background"))
    plan = planned(asked, name, Room("cpu", "cpu", MOST_ROOM))
    about, card = load(name, "cpu").about, BUNDLED / name / CARD
    return {
        "name": name,
        "bundled": True,
        "family": about.family,
        "width": about.shape.width,
        "height": about.shape.height,
        "frames": about.shape.frames,
        "fps": about.fps,
        "licence": LICENCE,
        "memory_bytes": max(phase.peak for phase in plan.phases),
        "words": _words(name),
        "figures": json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {},
    }


def _words(name: str) -> list[str]:
    """Words of a bundled model, without the single letters of which others are spelt."""
    return [word for word in words_of(name) if len(word) > 1 or word == "a"]


def _listed_family(facts: Facts) -> dict[str, Any]:
    counted = json.loads(PUBLISHED_MEMORY.read_text(encoding="utf-8")).get(facts.family, [])
    return {
        "name": facts.family,
        "bundled": False,
        "family": facts.family,
        "width": facts.width,
        "height": facts.height,
        "frames": facts.frames,
        "sizes": [list(size) for size in facts.sizes],
        "fps": facts.fps,
        "licence": facts.licence,
        "memory_bytes": min((own["weights_bytes"] + own["guided_bytes"] for own in counted), default=None),
        "memory": counted,
        "pipelines": list(facts.pipelines),
        "published": list(facts.published),
        "steps": facts.steps,
        "cfg": facts.cfg,
        "samplers": list(facts.samplers),
        "adapters": facts.adapters,
        "reads_words": facts.words,
        "positions": facts.positions,
        "pictures": facts.pictures,
    }


def listed_methods() -> list[dict[str, Any]]:
    """Every method's name, summary, ways to run it on the bundled models, settings with what they allow, and presets."""
    rows = matrix()
    return [
        {
            "name": name,
            "summary": method.summary,
            "runs": {way: answers for way, answers in rows.items() if way.split(",")[0] == name},
            "settings": _listed_settings(method.Settings),
            "presets": _listed_presets(method),
        }
        for name, method in methods().items()
    ]


def _listed_presets(method: Method[Any]) -> dict[str, dict[str, Any]]:
    """The presets of a method beside ours: each constant with its source, for every model or for one, and what no setting says."""

    def told(constants: Constants) -> dict[str, dict[str, Any]]:
        return {name: {"value": own.value, "source": own.source} for name, own in constants.items()}

    return {
        name: {
            "constants": told(preset.constants),
            "models": {model: told(constants) for model, constants in preset.models.items()},
            "lacks": list(preset.lacks),
        }
        for name, preset in method.published.items()
    }


def print_methods() -> None:
    """Which method runs on which model, the settings that all methods share, then every method with its own."""
    listed = listed_methods()
    rows = {way: answers for method in listed for way, answers in method["runs"].items()}
    families = list(next(iter(rows.values())))
    table = Table("method", *families)
    for way, answers in rows.items():
        table.add_row(way, *[Text(answers[family]) for family in families])
    Console().print(table)
    print()
    shared = _listed_settings(Sampled)
    _print_settings("settings of every method", shared)
    for title, kind in {
        "settings of every method that guides": Guided,
        "settings of every method that tunes": Tuned,
    }.items():
        common = _listed_settings(kind)
        _print_settings(title, {name: about for name, about in common.items() if name not in shared})
        for method in listed:
            if issubclass(methods()[method["name"]].Settings, kind):
                own = {name: about for name, about in method["settings"].items() if about != common.get(name)}
                _print_settings(f"{method['name']}: {method['summary']}", own)
                _print_presets(method["name"], method["presets"])
    print("Defaults are the published ones; a model may bring its own. The record beside a video says what was used.")
    print(
        "--preset puts the constants of a paper, or of its released program, over these defaults (ours). Those with a model "
        "hold on that one alone: any other keeps its own, and the run says so. What is given by hand comes before a preset."
    )


def _listed_settings(settings: type[Sampled]) -> dict[str, dict[str, Any]]:
    defaults = settings()
    return {
        name: {"default": getattr(defaults, name), "allowed": words.allowed, "help": words.help}
        for name, words in described(settings).items()
    }


def _print_settings(title: str, settings: Mapping[str, Mapping[str, Any]]) -> None:
    print(title)
    if settings:
        table = Table("setting", "default", "allowed", "what it does")
        for name, about in settings.items():
            table.add_row(name, Text(_as_typed(about["default"])), Text(about["allowed"]), Text(about["help"]))
        Console().print(table)
    print()


def _print_presets(method: str, presets: Mapping[str, Mapping[str, Any]]) -> None:
    """What a method's presets hold, a line for each constant."""
    for name, preset in presets.items():
        print(f"{method}: --preset {name}")
        table = Table("constant", "value", "model", "source")
        for model, constants in {"": preset["constants"], **preset["models"]}.items():
            for constant, own in constants.items():
                table.add_row(constant, Text(_as_typed(own["value"])), Text(model), Text(own["source"]))
        Console().print(table)
        for sentence in preset["lacks"]:
            print(f"  not in it: {sentence}")
        print()


def _as_typed(value: Any) -> str:
    """A value as ``--set`` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
