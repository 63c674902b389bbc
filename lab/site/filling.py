"""What stands in a page in the place of a comment such as ``<!-- figures: ditflow -->``: nothing of it is typed by hand."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path, PurePosixPath
from statistics import mean
from typing import Any

from lab.site.gallery import LIST, SHOWN
from motionlift.bench.records import number
from motionlift.bench.report.controls import TAUGHT
from motionlift.bench.report.summary import Measurement, measurement
from motionlift.core.settings import described
from motionlift.jobs.records import read_records
from motionlift.methods import methods
from motionlift.models.sources import BUNDLED_MODELS, DEFAULT_MODEL

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results.md"
"""The figures, as ``make results`` wrote them from the records."""
MEMORY = ROOT / "docs" / "results" / "memory.jsonl"
RECORDS = ROOT / "docs" / "results" / "world" / "records.jsonl"
COSTING = ("none", "ditflow", "vmc")
"""Methods whose jobs are priced: plain sampling, one that guides and one that tunes."""
DAY = 24 * 3600
"""Seconds."""
MANY = 10**6
"""Jobs of a day for which cores are counted."""
PLACE = re.compile(r"^<!-- (\w+)(?:: (\w+))? -->$", re.MULTILINE)
FIGURES = ("aligned error", "motion fidelity", "colour, %", "background, %", "shape, %", "leakage, %")
FIGURES += ("SSIM with reference", "passes")
"""Columns of the table of methods that a page shows."""
CONTROLS = ("frozen", "none", "injection", "inverted")
"""What methods are compared with."""
NOT_MEASURED = "It is not among the methods that the recorded run measured yet.\n"

Row = Mapping[str, str]


def filled(text: str, source: PurePosixPath) -> str:
    """A page with what its comments ask for.

    Raises:
        ValueError: there is nothing of that name.
    """
    depth = "../" * (len(source.parent.parts) - 1)

    def fill(found: re.Match[str]) -> str:
        if found[1] not in FILLINGS:
            raise ValueError(
                f"{source}: {found[0]} asks for what there is not; there are {', '.join(sorted(FILLINGS))}"
            )
        return FILLINGS[found[1]](found[2] or "", depth)

    return PLACE.sub(fill, text) if source.is_relative_to("docs") else text


def rows(title: str) -> dict[str, list[Row]]:
    """For each model the rows of the first table below a title of the results."""
    found: dict[str, list[Row]] = {}
    for part in re.split(r"^## ", RESULTS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        model = re.match(r"`([\w.-]+)`\n", part)
        section = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", part, re.MULTILINE | re.DOTALL)
        lines = [line for line in section[1].splitlines() if line.startswith("|")] if section else []
        if model and len(lines) > 2:
            head, _, *rest = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            found[model[1]] = [dict(zip(head, cells, strict=True)) for cells in rest]
    return found


def table(head: list[str], lines: list[list[str]]) -> str:
    """As Markdown."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *lines))


def _figures(method: str, depth: str) -> str:
    """What was measured of a method, on every model, beside the strongest control."""
    told = ""
    verdicts = rows("Beyond the strongest control")
    for model, measured in rows("Methods").items():
        own = [row for row in measured if row[""].split()[0] == method]
        if not own:
            continue
        judged = {row[""]: row["verdict"] for row in verdicts.get(model, [])}
        lines = [[row[""], *(row[name] for name in FIGURES), judged.get(row[""], "-")] for row in own]
        told += f"On `{model}`:\n\n" + table(["", *FIGURES, "than the strongest control"], lines) + "\n"
    where = f"[results]({depth}results.md)"
    return f"{told}Where and how: {where}.\n" if told else NOT_MEASURED


def _order(_: str, depth: str) -> str:
    """Every method as measured on each model, those of the least aligned error first."""
    told, verdicts = "", rows("Beyond the strongest control")
    for model, measured in rows("Methods").items():
        judged = {row[""]: row["verdict"] for row in verdicts.get(model, [])}
        ordered = sorted(measured, key=lambda row: float(row["aligned error"].split()[0]))
        shown = ("aligned error", "motion fidelity", "leakage, %", "SSIM with reference", "passes")
        lines = [
            [_named(row[""], depth), *(row[name].split(" (")[0] for name in shown), judged.get(row[""], "control")]
            for row in ordered
        ]
        told += f"On `{model}`, the least error first:\n\n"
        told += table(["method", *shown, "than the strongest control"], lines) + "\n"
        told += f"{TAUGHT[model]}\n\n" if model in TAUGHT else ""
    return told


def _named(row: str, depth: str) -> str:
    name, _, rest = row.partition(" ")
    return f"[{name}]({depth}methods/{name}.md) {rest}".strip() if name in methods() else row


def _settings(method: str, _: str) -> str:
    """The settings that are the method's own."""
    kind = methods()[method].Settings
    inherited = {item.name for base in kind.__mro__[1:] if base is not object for item in fields(base)}
    own = [item for item in fields(kind) if item.name not in inherited]
    if not own:
        return "It has no settings of its own.\n"
    told = described(kind)
    lines = [[f"`{item.name}`", _default(item.default), told[item.name].allowed, told[item.name].help] for item in own]
    return table(["setting", "default", "allowed", "what it does"], lines)


def _default(value: Any) -> str:
    return f"`{','.join(map(str, value)) if isinstance(value, tuple) else value}`" if value != "" else ""


def _presets(method: str, _: str) -> str:
    """Constants that paper and program have, with where they stand."""
    published = methods()[method].published
    lines = [
        [name, f"`{key}={constant.value}`", constant.source]
        for name, preset in sorted(published.items())
        for key, constant in preset.constants.items()
    ]
    return table(["preset", "constant", "where it stands"], lines) if lines else "It has no presets of its own.\n"


def _video(method: str, depth: str) -> str:
    """The gallery's videos of a method beside their references."""
    own = [item for item in _listed() if item["method"] == method]
    return "\n".join(_beside(item, depth) for item in own)


def _gallery(_: str, depth: str) -> str:
    """All of the gallery's videos: under each prompt the reference, and what every method made of it."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for item in _listed():
        groups.setdefault((item["prompt"], item["model"], item["reference"]), []).append(item)
    told = ""
    for (prompt, model, reference), items in groups.items():
        made = "".join(_player(item["video"], depth, _linked(item["method"], depth), item["method"]) for item in items)
        players = _player(reference, depth, "the reference", "the reference") + made
        told += f'## {prompt.capitalize()}\n\nOn `{model}`.\n\n<div class="beside small">{players}</div>\n\n'
    return told


def _listed() -> list[dict[str, Any]]:
    return json.loads((SHOWN / LIST).read_text(encoding="utf-8"))


def _linked(method: str, depth: str) -> str:
    return f'<a href="{depth}methods/{method}.html">{method}</a>'


def _beside(item: Mapping[str, Any], depth: str) -> str:
    told = f"{item['method']}: {item['prompt']}"
    players = _player(item["reference"], depth, "the reference", "the reference") + _player(
        item["video"], depth, told, told
    )
    return f'<div class="beside">{players}</div>\n\nMade on `{item["model"]}`, seed {item["seed"]}.\n'


def _player(file: str, depth: str, caption: str, label: str) -> str:
    """A video that plays by itself, again and again, with what is said below it."""
    return (
        f'<figure><video src="{depth}gallery/{file}" controls autoplay loop muted playsinline aria-label="{label}"></video>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _memory(_: str, __: str) -> str:
    """What published models take, in GiB."""
    found = [json.loads(line) for line in MEMORY.read_text(encoding="utf-8").splitlines()]
    counted = sorted((row for row in found if "weights" in row), key=lambda row: row["weights"])
    return table(
        ["model", "weights", "beside them, sampling", "beside them, a guided pass"],
        [[row["model"], *(f"{row[key]:.1f}" for key in ("weights", "sampled", "guided"))] for row in counted],
    )


def _costs(_: str, __: str) -> str:
    """What one job takes on one core, and how many cores a million jobs a day take, for each bundled model that was recorded."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for each in filter(None, map(measurement, read_records(RECORDS))):
        if each.title in COSTING and each.error is None and not each.record.get("lifted_from_cache"):
            groups.setdefault((each.model, each.title), []).append(each)
    lines = [
        _priced(model, title, groups[model, title])
        for model in BUNDLED_MODELS
        for title in COSTING
        if (model, title) in groups
    ]
    head = ["model", "method", "references", "seconds a job", "passes forward + backward", "peak memory, MiB"]
    head += ["hours of a core for 10^3 jobs", "cores for 10^6 a day", "their memory, GiB"]
    named = ", ".join(model for model in BUNDLED_MODELS if not any(model == known for known, _ in groups))
    absent = f"\nNothing is recorded of {named}.\n" if named else ""
    return f"{table(head, lines)}{absent}\nWhat names no model is made on {DEFAULT_MODEL}.\n"


def _priced(model: str, title: str, group: list[Measurement]) -> list[str]:
    """A line of the table of costs: means, and the highest peak, of the records of the newest state."""
    records = [each.record for each in group if each.state == group[-1].state]
    seconds = mean(number(record.get("seconds")) or 0 for record in records)
    ways = [mean(record["passes"][way] for record in records) for way in ("forward", "backward")]
    peak = max(number(record.get("peak_memory_bytes")) or 0 for record in records) / 2**20
    cores = math.ceil(MANY * seconds / DAY)
    told = [
        f"{len({record['reference'] for record in records})}",
        f"{seconds:.1f}",
        " + ".join(f"{way:.0f}" for way in ways),
    ]
    return [
        model,
        title,
        *told,
        f"{peak:,.0f}",
        f"{1000 * seconds / 3600:.1f}",
        f"{cores:,}",
        f"{cores * peak / 1024:,.0f}",
    ]


def _decisions(_: str, __: str) -> str:
    """Every decision with its title."""
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    titles = {page.name: page.read_text(encoding="utf-8").splitlines()[0].strip("# ") for page in pages}
    return "".join(f"- [{title.partition('. ')[2] or title}]({name})\n" for name, title in titles.items())


FILLINGS: Mapping[str, Callable[[str, str], str]] = {
    "figures": _figures,
    "order": _order,
    "settings": _settings,
    "presets": _presets,
    "video": _video,
    "gallery": _gallery,
    "memory": _memory,
    "costs": _costs,
    "decisions": _decisions,
}
"""What can be asked for."""
