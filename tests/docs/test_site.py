"""The site: whole, its figures those of the results, and nothing in it leads nowhere or elsewhere."""

import functools
import http.server
import math
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import pytest

from lab.site.compose import Site, mathematical
from lab.site.filling import filled, rows
from lab.site.gallery import MOST_BYTES, SHOWN
from motionlift.bench.report.controls import TAUGHT
from motionlift.bench.report.summary import STATE
from motionlift.jobs.records import read_records
from motionlift.methods import methods
from motionlift.models.sources import BUNDLED_MODELS
from tests.bench.chromium import browser
from tests.docs.pages import ROOT

CONFIGURED = (ROOT / "zensical.toml").read_text(encoding="utf-8")
DOCS = ROOT / "docs"
FETCHED = {"img": "src", "video": "src", "script": "src", "link": "href", "source": "src"}


def listed(nav: Any) -> set[str]:
    """Every page of the navigation."""
    if isinstance(nav, str):
        return {nav}
    return {page for each in (nav.values() if isinstance(nav, dict) else nav) for page in listed(each)}


def test_every_page_is_in_the_navigation():
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if "decisions" not in path.parts}
    pages |= {f"notebooks/{path.name}.md" for path in (DOCS / "notebooks").glob("*.ipynb")}
    generated = {"reference.md", "commands.md", "repository/CONTRIBUTING.md", "decisions/README.md"}
    assert listed(tomllib.loads(CONFIGURED)["project"]["nav"]) == pages | generated


def test_every_method_has_a_page_and_is_listed():
    overview = (DOCS / "methods" / "README.md").read_text(encoding="utf-8")
    for name in methods():
        page = (DOCS / "methods" / f"{name}.md").read_text(encoding="utf-8")
        assert f"[{name}]({name}.md)" in overview
        assert "```math" in page
        for asked in ("video", "figures", "settings", "presets"):
            assert f"<!-- {asked}: {name} -->" in page


def test_figures_are_those_of_the_results():
    results = (DOCS / "results.md").read_text(encoding="utf-8")
    measured = rows("Methods")
    assert measured and all("ditflow" in {row[""] for row in own} for own in measured.values())
    told = filled("<!-- figures: ditflow -->", PurePosixPath("docs/methods/ditflow.md"))
    for own in measured.values():
        (row,) = [row for row in own if row[""] == "ditflow"]
        assert row["aligned error"] in told and row["aligned error"] in results


def test_the_order_of_methods_says_what_models_were_taught():
    told = filled("<!-- order -->", PurePosixPath("docs/choose.md"))
    assert all(TAUGHT[model] in told for model in rows("Methods"))


def test_what_a_job_costs_is_what_the_records_say():
    told = filled("<!-- costs -->", PurePosixPath("docs/scale.md"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in told.splitlines() if line.startswith("| tiny")]
    records = read_records(DOCS / "results" / "world" / "records.jsonl")
    (row,) = [row for row in rows if row[:2] == ["tiny-dit", "ditflow"]]
    every = [record for record in records if (record["model"], record["method"], record["settings"]) == (*row[:2], {})]
    own = [record for record in every if all(record[key] == every[-1][key] for key in STATE)]
    seconds = sum(record["seconds"] for record in own) / len(own)
    assert row[2] == f"{len(own)}" and row[3] == f"{seconds:.1f}" and int(row[7]) == math.ceil(1e6 * seconds / 86400)
    recorded = {record["model"] for record in records}
    for model in BUNDLED_MODELS:
        assert (model in {row[0] for row in rows}) == (model in recorded) and model in told


def test_what_is_not_there_cannot_be_asked_for():
    with pytest.raises(ValueError, match="asks for what there is not"):
        filled("<!-- weather -->", PurePosixPath("docs/index.md"))


def test_formulas_become_mathml_wherever_a_line_begins():
    told = mathematical("With\n$`x`$ and\n\n```math\na \\qquad b\n```\n")
    assert told.count("<math") == 3 and "\n<math" not in told


def test_the_gallery_is_small():
    assert 0 < sum(path.stat().st_size for path in SHOWN.glob("*.mp4")) < MOST_BYTES


class Reader(HTMLParser):
    """What a page fetches, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        if (target := own.get(FETCHED.get(tag, ""))) and own.get("rel") not in ("canonical", "me"):
            self.fetched.append(target)
        if tag == "a" and own.get("href"):
            self.links.append(own["href"] or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as ``make docs`` builds it, elsewhere."""
    folder = tmp_path_factory.mktemp("site")
    Site(folder / "source").write()
    told = CONFIGURED.replace("build/site-source", "source").replace('"build/site"', '"site"')
    told = told.replace('paths = ["src"]', f"paths = ['{ROOT / 'src'}']").replace(
        '"lab/site/', f'"{ROOT.as_posix()}/lab/site/'
    )
    (folder / "zensical.toml").write_text(told, encoding="utf-8")
    found = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return folder / "site"


@pytest.mark.slow
def test_the_built_site_is_whole(site: Path):
    pages = [path for path in site.rglob("*.html") if path.name != "404.html"]
    assert len(pages) > 40
    for page in pages:
        reader = Reader()
        text = page.read_text(encoding="utf-8")
        reader.feed(text)
        assert "<!-- figures" not in text and ":class:" not in text, page
        for target in reader.fetched:
            assert "//" not in target, f"{page} fetches {target}"
            assert (page.parent / unquote(target.partition("?")[0])).is_file(), f"{page}: {target}"
        for target in (each.partition("#")[0] for each in reader.links):
            if target and not re.match(r"[a-z]+:", target):
                assert (page.parent / unquote(target)).exists(), f"{page}: {target}"
    assert "<video" in (site / "gallery.html").read_text(encoding="utf-8")
    assert "--prompt" in (site / "commands.html").read_text(encoding="utf-8")
    assert "super_resolution" in (site / "reference.html").read_text(encoding="utf-8")


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Where the built site is served."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()


BROKEN = """() => [...document.images].filter(each => each.getClientRects().length && !(each.complete && each.naturalWidth))
    .map(each => each.src)"""
"""Pictures that are meant to be seen and are not."""
WIDER = "() => document.documentElement.scrollWidth - innerWidth"
"""Pixels by which a page goes beyond the window."""


@pytest.mark.slow
@pytest.mark.skipif(browser() is None, reason="no Chromium")
def test_pages_look_right_on_a_desk_and_on_a_phone(address: str):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=browser(), args=["--no-sandbox", "--disable-gpu"])
        for width in (1280, 390):
            page = chromium.new_page(viewport={"width": width, "height": 900})
            page.set_default_timeout(120_000)
            told: list[str] = []
            page.on(
                "console", lambda message, told=told: told.append(message.text) if message.type == "error" else None
            )
            page.on("pageerror", lambda error, told=told: told.append(str(error)))
            for name in ("index", "gallery", "methods/ditflow", "commands"):
                page.goto(f"{address}/{name}.html", wait_until="load")
                page.wait_for_function(f"!({BROKEN})().length")
                assert page.evaluate(WIDER) <= 0, (name, width)
            assert told == [], width
        chromium.close()
