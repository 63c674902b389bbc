"""The gallery's videos: ``python -m lab.site.gallery`` casts one reference by every method on the model that is taken by itself.

It goes on where it was stopped: the run lies in ``build/gallery``, what the site shows in ``docs/gallery``.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from motionlift.bench.cells import RECORDS, at_work, lay_out
from motionlift.bench.completing import videos
from motionlift.bench.run_file import read_run
from motionlift.jobs.records import read_records
from motionlift.jobs.workers import Workers
from motionlift.methods import methods
from motionlift.models.sources import DEFAULT_MODEL

ROOT = Path(__file__).parents[2]
SHOWN = ROOT / "docs" / "gallery"
"""The videos, and :data:`LIST`."""
LIST = "gallery.json"
"""What each video is: method, model, prompt, settings, the file, and the reference's file."""
RUN = ROOT / "build" / "gallery"
REFERENCES = 2
"""How many held-out references of things that have names are cast (ours: two by every method are two dozen small files)."""
MOST_BYTES = 2_000_000
"""Of all videos together (ours: they are part of every checkout)."""
KEPT = ("method", "model", "prompt", "settings", "seed")


def main() -> None:
    """Make what is missing of the run, and write the gallery."""
    RUN.mkdir(parents=True, exist_ok=True)
    path = RUN / "run.yaml"
    path.write_text(yaml.safe_dump(_run()), encoding="utf-8")
    with at_work(read_run(str(path)), Workers(1)) as workers:
        cells = lay_out(read_run(str(path)), workers)
        for number, record in enumerate(cells.measured(workers), 1):
            print(f"{number} of {len(cells.waiting)}: {record['method']}", flush=True)
    write_gallery(read_records(RUN / RECORDS), RUN, SHOWN)


def _run() -> dict[str, Any]:
    """As a run file has it."""
    return {
        "models": [DEFAULT_MODEL],
        "methods": sorted(methods()),
        "references": [{"things": {"count": REFERENCES}}],
        "seeds": "own",
        "metrics": ["truth"],
        "output": str(RUN),
    }


def write_gallery(records: Iterable[Mapping[str, Any]], run: Path, shown: Path) -> None:
    """Copy the videos of records that are of the model of now, and list them.

    Raises:
        ValueError: they are larger than :data:`MOST_BYTES` together.
    """
    shown.mkdir(parents=True, exist_ok=True)
    for old in shown.glob("*.mp4"):
        old.unlink()
    listed: list[dict[str, Any]] = []
    for record in records:
        files = None if "error" in record else videos(record, run)
        if files is None or record["model"] != DEFAULT_MODEL:
            continue
        names = f"reference-{record['reference']}.mp4", f"{record['method']}-{record['reference']}.mp4"
        for file, name in zip(files, names, strict=True):
            shutil.copyfile(file, shown / name)
        listed.append({key: record[key] for key in KEPT} | {"reference": names[0], "video": names[1]})
    size = sum(path.stat().st_size for path in shown.glob("*.mp4"))
    if size > MOST_BYTES:
        raise ValueError(f"the gallery takes {size} bytes; allowed are {MOST_BYTES}: show fewer references")
    (shown / LIST).write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
