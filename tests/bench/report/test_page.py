"""The page and its tables: whole, escaped, and working in a browser."""

import csv
import html
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt
from PIL import Image

from motionlift.bench.report.page import write_report
from motionlift.cli.main import run
from motionlift.errors import InputError, OutputError
from tests.bench.chromium import Chromium, browser
from tests.bench.made_records import PROMPT, error_records, record, video, write

EMPTY_TAGS = {"meta", "line", "circle"}
TITLE = "smm <b>&"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Three methods on seven references with videos, a failure, and a method whose model would break a page."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("one", "two", "reference"):
        video(folder / "videos" / f"{name}.mp4")
    errors = {"none": [0.3, 0.2, 0.4, 0.35, 0.25, 0.3, 0.3], TITLE: [0.1] * 7, "ditflow": [0.2] * 7}
    made = error_records(errors)
    for number, each in enumerate(made):
        each |= {"video": f"videos/{('one', 'two')[number % 2]}.mp4", "reference_video": "videos/reference.mp4"}
        each["left_out"] = {"clip_text": "no <i>checkpoint</i>"}
    failed = {**record("ditflow", 50, {}), "error": "<img src=x onerror=alert(1)>"}
    return write(folder, [*made, failed])


@pytest.fixture
def page(records: Path) -> Path:
    write_report(records, records.parent / "report.html")
    return records.parent / "report.html"


class Reader(HTMLParser):
    """Sees that every tag is closed; collects addresses, elements and handlers."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]):
        self.seen.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "poster", "action", "data")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in EMPTY_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]):
        self.seen.append(tag)

    def handle_endtag(self, tag: str):
        assert self.open.pop() == tag


@pytest.mark.slow
def test_the_page_is_whole_and_needs_nothing_else(page: Path):
    text = page.read_text()
    read = Reader(text)
    assert all(address.startswith(("data:", "#")) for address in read.addresses)
    assert read.seen.count("video") == 6 * 4 and read.seen.count("svg") == 2
    assert "default-src 'none'" in text and "http://" not in text and "https://" not in text


@pytest.mark.slow
def test_nothing_from_records_becomes_markup(page: Path):
    text = page.read_text()
    read = Reader(text)
    assert read.seen.count("script") == 1 and "img" not in read.seen and "b" not in read.seen and "i" not in read.seen
    assert "&lt;script&gt;document.title" in text and "<script>document.title" not in text
    markdown = (page.parent / "report-tables.md").read_text()
    assert "<img" not in markdown and "<b>" not in markdown and "&lt;b&gt;" in markdown


@pytest.mark.slow
def test_the_tables_as_files(page: Path):
    rows = list(csv.DictReader((page.parent / "report-means.csv").open(newline="")))
    (mean,) = [row for row in rows if (row["method"], row["figure"]) == ("none", "aligned_error")]
    assert float(mean["mean"]) == pytest.approx(0.3) and (mean["cells"], mean["references"]) == ("7", "7")
    assert mean["low"] == mean["high"] == "", "of seven references no interval is told"
    pairs = list(csv.DictReader((page.parent / "report-pairs.csv").open(newline="")))
    (pair,) = [row for row in pairs
               if (row["method"], row["baseline"], row["figure"]) == (TITLE, "none", "aligned_error")]  # fmt: skip
    assert float(pair["difference"]) == pytest.approx(-0.2) and pair["verdict"] == "better"
    assert float(pair["p"]) == 2 / 2**7
    markdown = (page.parent / "report-tables.md").read_text()
    assert "| none | 7 (7 references) | 0.300 (" in markdown and "| ditflow | 7 (7 references, 1 failed) |" in markdown
    tables = [line.count("|") - line.count("\\|") for line in markdown.splitlines() if line.startswith("| ")]
    assert len(set(tables)) == 4, "one width for means, one for differences, one beside the control, one for kinds"


def test_the_tables_for_latex(page: Path):
    """Those of the Markdown, one for one, with nothing in them that LaTeX takes for markup."""
    text = (page.parent / "report-tables.tex").read_text()
    headings = re.findall(r"^##+ ", (page.parent / "report-tables.md").read_text(), re.MULTILINE)
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == len(headings) > 2
    assert r"smm \textless{}b\textgreater{}\&" in text
    body = text.split("\n", 2)[2]
    for special in (r"(?<!\\)[$#_~^]", r"(?<!\\)%(?!$)"):
        assert not re.search(special, body, re.MULTILINE), special
    for tabular in re.findall(r"\\begin\{tabular\}\{(l+r*)\}(.*?)\\end", text, re.DOTALL):
        lines = [line for line in tabular[1].splitlines() if line.endswith(r"\\")]
        assert {len(re.split(r"(?<!\\)&", line)) for line in lines} == {len(tabular[0])}


@pytest.mark.slow
def test_the_charts_as_pictures(page: Path):
    for number in (1, 2):
        with Image.open(page.parent / f"report-chart-{number}.png") as picture:
            assert picture.width == 1680 and picture.height > 1000
    assert write_report(page.parent / "records.jsonl", page)[0][-1].name == "report-chart-2.png", "replaced by its own"


def test_unclear_is_explained(page: Path):
    for path in (page, page.parent / "report-tables.md", page.parent / "report-tables.tex"):
        assert "these references do not tell two methods apart, not that they are alike" in path.read_text()


def test_rank_agreement_where_the_true_error_is_known(tmp_path: Path):
    figures = [{"aligned_error": number / 20, "motion_fidelity_moving": 1 - number / 20} for number in range(12)]
    write(tmp_path, [record("none", number, own) for number, own in enumerate(figures)])
    written, _ = write_report(tmp_path, tmp_path / "report.html")
    assert "report-agreement.csv" in [path.name for path in written]
    (row,) = csv.DictReader((tmp_path / "report-agreement.csv").open(newline=""))
    assert (row["figure"], float(row["rho"]), row["videos"]) == ("motion_fidelity_moving", pytest.approx(1), "12")
    assert "Rank agreement with the true error" in written[0].read_text()
    assert "| motion fidelity, moving | 1.00 (1.00 to 1.00) | 12 (12 references) |" in written[1].read_text()


@pytest.mark.slow
def test_methods_stand_beside_the_strongest_control(tmp_path: Path):
    errors = {
        "none": [0.5 + number / 100 for number in range(14)],
        "frozen": [0.3] * 14,
        TITLE: [0.4] * 14,
        "vmc": [0.1] * 14,
    }
    made = [{**each, "frames": 17} for each in error_records(errors)]
    written, _ = write_report(write(tmp_path, made), tmp_path / "page.html")
    page, tables = (path.read_text() for path in written[:2])
    Reader(page)
    for text in (html.unescape(page), tables):
        assert "the strongest, by its mean, is frozen: 0.300." in text and "What did not work: Worse than" in text
        assert "arc (3)" in text and "still (" in text
    assert "| vmc | 0.100 (0.100 to 0.100) | -0.200 (-0.200 to -0.200; p 0.00012; better) | - | - |" in tables
    assert "Beyond the strongest control" not in _page_of(tmp_path, [record("smm", 0, {"aligned_error": 0.1})])


def _page_of(folder: Path, records: Sequence[dict[str, Any]]) -> str:
    (folder / "other").mkdir()
    write_report(write(folder / "other", records), folder / "other" / "page.html")
    return (folder / "other" / "page.html").read_text()


def test_a_folder_names_its_records(records: Path, tmp_path: Path):
    written, notices = write_report(records.parent, tmp_path / "page.html")
    assert [path.name for path in written] == [
        "page.html", "page-tables.md", "page-tables.tex", "page-means.csv", "page-pairs.csv",
        "page-chart-1.png", "page-chart-2.png",
    ]  # fmt: skip
    assert notices == ["cells that failed, and count nowhere: 1"]


def test_records_of_older_weights_are_told(tmp_path: Path):
    path = write(tmp_path, [record("none", 0, {"looks": share}, fingerprint=str(share)) for share in (0.0, 1.0)])
    _, notices = write_report(path, tmp_path / "page.html")
    assert notices == ["records of older weights, defaults, trackers or CLIP models, and left out: 1 of tiny on world"]


@pytest.mark.slow
def test_a_cut_line_is_told_and_left_out(records: Path, tmp_path: Path):
    records.write_bytes(records.read_bytes()[:-20])
    _, notices = write_report(records, tmp_path / "page.html")
    assert any("cut off" in notice and notice.endswith(": 1") for notice in notices)


def test_records_of_something_else_are_told_and_left_out(tmp_path: Path):
    deep: list = []
    for _ in range(900):
        deep = [deep]
    others = [
        {"x": 1},
        {**record("none", 1, {"looks": 1.0}), "seed": "0"},
        record("ditflow", 1, {}, settings={"block": deep}),
    ]
    path = write(tmp_path, [record("none", 0, {"looks": 1.0}), *others])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    _, notices = write_report(path, tmp_path / "page.html")
    assert [notice for notice in notices if "are no records" in notice and notice.endswith(": 3")]


def test_bad_records_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"holds no records; give the file records\.jsonl"):
        write_report(tmp_path, tmp_path / "page.html")
    foreign = tmp_path / "comparison.jsonl"
    foreign.write_text(json.dumps({"index": 0, "aligned": 0.1}) + "\nnonsense\n")
    with pytest.raises(InputError, match="holds no record of motionlift bench"):
        write_report(foreign, tmp_path / "page.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["comparison.jsonl"]


def test_bad_outputs_are_refused(records: Path, tmp_path: Path):
    for name in ("page.txt", "gone/page.html"):
        with pytest.raises(OutputError):
            write_report(records, tmp_path / name)
    shutil.copy(records, tmp_path / "mine-means.csv")
    with pytest.raises(OutputError, match="it is the records"):
        write_report(tmp_path / "mine-means.csv", tmp_path / "mine.html")
    assert (tmp_path / "mine-means.csv").read_bytes() == records.read_bytes()
    with pytest.raises(OutputError, match=r"mine-means\.csv: the file that is there is no table"):
        write_report(records, tmp_path / "mine.html")
    (tmp_path / "mine-means.csv").unlink()
    (tmp_path / "mine-pairs.csv").mkdir()
    with pytest.raises(OutputError, match=r"mine-pairs\.csv"):
        write_report(records, tmp_path / "mine.html")
    assert not (tmp_path / "mine.html").exists()


@pytest.mark.slow
def test_neighbours_of_the_page_stay_as_they_are(records: Path, tmp_path: Path):
    """A page goes where other files have its name: ``docs/results.html`` beside ``docs/results.md``."""
    others = [tmp_path / f"results.{kind}" for kind in ("md", "csv", "json")]
    for other in others:
        other.write_text("mine")
    written, _ = write_report(records, tmp_path / "results.html")
    assert [other.read_text() for other in others] == ["mine"] * 3
    assert all(path.name.startswith("results") for path in written)


@pytest.mark.parametrize("text", [
    "![x](https://evil/x.png)", "[x](https://evil)", "[x]: https://evil", "*a* **b** _c_ __d__ _e", "snake_case a__b _",
    "`code` ``more``", "~~gone~~", "a|b \\| c \\", "<b>&amp;</b> <https://evil>", "# head #", "$x$", "\\*a\\*", "a\nb",
])  # fmt: skip
def test_text_is_no_markdown(tmp_path: Path, text: str):
    """A reader of Markdown sees what came, in a table and in a list."""
    failed = {**record("smm", 0, {}), "error": text}
    write_report(write(tmp_path, [record("none", 0, {text: 1.0}), failed]), tmp_path / "page.html")
    read = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    markdown = (tmp_path / "page-tables.md").read_text()
    cells = re.findall(r"<(?:th|li)>(.*?)</", read.render(markdown))
    expected = " ".join(text.split())
    assert (
        html.unescape(cells[2]) == " ".join(text.replace("_", " ").split())
        and html.unescape(cells[-1]) == f"1 failed: {expected}"
    )
    assert not re.search(r"(?<!\\)://", markdown), "nor a link by itself, as GitHub makes them"


def test_figures_stay_readable_in_markdown(tmp_path: Path):
    made = [record("vmc", index, {"aligned_error": index / 10}, settings={"tuning_steps": 50}) for index in range(2)]
    write_report(write(tmp_path, made), tmp_path / "page.html")
    assert (
        "| vmc tuning_steps=50 | 2 (2 references) | 0.050 (0.000 0.100) |" in (tmp_path / "page-tables.md").read_text()
    )


def test_home_folders_are_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/srv/people/jane/")
    reason = "no /root/.cache/a.pth, '/home/joe/a', file:///Users/ann/a or /srv/people/jane/a; /mnt/root/a and /a/home/b/c are"
    made = [record("none", 0, {"spin": 1.0}, left_out={"lpips": reason}), {**record("smm", 0, {}), "error": reason}]
    write_report(write(tmp_path, made), tmp_path / "page.html")
    told = "no ~/.cache/a.pth, '~/a', file://~/a or ~/a; /mnt/root/a and /a/home/b/c are"
    page, tables = ((tmp_path / name).read_text() for name in ("page.html", "page-tables.md"))
    assert html.unescape(page).count(told) == 2 and told.replace("~", "\\~").replace("://", "\\://") in tables
    monkeypatch.setenv("HOME", "/")
    write_report(tmp_path, tmp_path / "page.html")
    assert "no ~/.cache/a.pth" in (tmp_path / "page.html").read_text()


def test_numbers_and_texts_that_are_none(tmp_path: Path):
    phases = [{"name": "cast", "seconds": value, "passes": {"forward": value}} for value in (-1, 10**400, 1e308)]
    figures = {"aligned_error": 10**400, "looks": 1e308, "motion_fidelity": -1e15, "clip_text": 5e-324}
    made = [
        record(name, index, figures, phases=phases, prompt="\ud800") for name in ("none", "smm") for index in (0, 1)
    ]
    write_report(write(tmp_path, made), tmp_path / "page.html")
    rows = list(csv.DictReader((tmp_path / "page-means.csv").open(newline="")))
    assert {row["figure"] for row in rows if not row["figure"].endswith(("seconds", "forward", "backward", "bytes"))} == {
        "motion_fidelity", "clip_text"
    }  # fmt: skip


def test_methods_beyond_the_wall_are_told(tmp_path: Path):
    made = [record(f"m{number}", 0, {"looks": 1.0}) for number in range(14)]
    write_report(write(tmp_path, made), tmp_path / "page.html")
    assert "1 of 1 tasks, and 12 of 14 methods, plain sampling and " in (tmp_path / "page.html").read_text()
    write_report(write(tmp_path, made[:12]), tmp_path / "page.html")
    assert "1 of 1 tasks. Videos" in (tmp_path / "page.html").read_text()


def test_only_failures(tmp_path: Path):
    path = write(tmp_path, [{**record("smm", 0, {}), "error": "no"}])
    write_report(path, tmp_path / "page.html")
    assert "<li>1: no</li>" in (tmp_path / "page.html").read_text()


@pytest.mark.slow
def test_the_command(
    records: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert run(["report", str(records)]) == 0
    assert capsys.readouterr().out == (
        "wrote report.html and report-tables.md and report-tables.tex and report-means.csv and report-pairs.csv and "
        "report-chart-1.png and report-chart-2.png\n"
    )
    assert run(["report", "gone"]) == 1
    told = capsys.readouterr().err
    assert (
        told
        == "error: gone does not exist; give the records of motionlift bench, or their folder, or the answers of a study\n"
    )
    (tmp_path / "empty").mkdir()
    assert run(["report", "empty"]) == 1
    told = capsys.readouterr().err
    assert told == "error: empty holds no records; give the file records.jsonl of a run, or its folder\n"


# In a browser

WATCHED = """
window.problems = [];
addEventListener("error", event => problems.push(String(event.message)));
addEventListener("securitypolicyviolation", event => problems.push(event.blockedURI));
"""
"""Runs before anything of the page."""
LOOKED = """
async function loaded() {
  if (document.readyState !== "complete") await new Promise(done => addEventListener("load", done));
  const all = [...document.querySelectorAll("video")];
  await Promise.all(all.map(video => video.readyState > 1 || new Promise(done => {
    for (const name of ["loadeddata", "error"]) video.addEventListener(name, done);
  })));
  return all;
}
function lightest(video) {
  const canvas = Object.assign(document.createElement("canvas"), {width: 32, height: 32}), context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 32, 32);
  const red = context.getImageData(0, 0, 32, 32).data.filter((_, place) => place % 4 === 0);
  return [Math.min(...red), Math.max(...red)];
}
function box(element) {
  const {left, top, right, bottom} = element.getBoundingClientRect();
  return [left + scrollX, top + scrollY, right + scrollX, bottom + scrollY];
}
"""
"""All videos, once they have a picture; the darkest and the lightest red of one; where on the page an element lies."""
TRIED = """
(async () => {
  const all = await loaded(), told = {}, table = document.querySelector("table.sortable");
  const first = row => row.cells[0].textContent, titles = () => [...table.tBodies[0].rows].map(first);
  const head = table.tHead.rows[0].cells[2], click = () => head.querySelector("button").click();
  told.title = document.title;
  told.before = titles();
  click();
  told.ascending = titles();
  told.sort = head.getAttribute("aria-sort");
  click();
  told.descending = titles();
  const select = document.querySelector("select.baseline"), bodies = [...document.querySelectorAll("table.pairs tbody")];
  const visible = () => bodies.filter(body => body.offsetHeight).map(body => [...body.rows].map(first));
  told.against = visible();
  select.value = "2";
  select.dispatchEvent(new Event("change"));
  told.then = visible();
  told.decoded = all.map(video => [video.videoWidth, video.videoHeight, ...lightest(video)]);
  const button = document.querySelector("button.play");
  told.paused = all.every(video => video.paused);
  button.click();
  told.playing = all.every(video => !video.paused);
  told.pressed = button.getAttribute("aria-pressed");
  told.button = button.textContent;
  button.click();
  told.stopped = all.every(video => video.paused);
  told.paragraphs = [...document.querySelectorAll("section p")].map(each => each.firstChild.textContent.trim());
  told.charts = [...document.querySelectorAll("svg")].map(chart => ({
    box: box(chart), points: [...chart.querySelectorAll("circle")].map(box), labels: [...chart.querySelectorAll(".label")].map(box),
  }));
  told.fits = document.documentElement.scrollWidth <= innerWidth;
  told.problems = problems;
  return told;
})()
"""
"""Uses the page, and tells what it found."""


in_browser = pytest.mark.skipif(browser() is None, reason="no Chromium here")


def told_by(chromium: Chromium, page: Path, script: str) -> Any:
    """What a script says of the page once it is there."""
    chromium.ask("Page.addScriptToEvaluateOnNewDocument", source=WATCHED + LOOKED)
    chromium.ask("Page.navigate", url=page.as_uri())
    answer = chromium.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
    assert "exceptionDetails" not in answer, answer
    return answer["result"]["value"]


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Chromium]:
    program = browser()
    assert program is not None
    with Chromium(program, tmp_path / "profile") as found:
        yield found


@pytest.mark.slow
@in_browser
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_in_a_browser(page: Path, chromium: Chromium, tmp_path: Path, width: int):
    chromium.show_at(width)
    told = told_by(chromium, page, TRIED)
    (tmp_path / "page.png").write_bytes(chromium.picture())
    assert told["problems"] == [] and told["title"] == "motionlift report", "the prompt's script did not run"
    assert told["before"] == ["none", TITLE, "ditflow"]
    assert told["ascending"] == [TITLE, "ditflow", "none"] == told["descending"][::-1] and told["sort"] == "ascending"
    assert told["against"] == [[TITLE, "ditflow"]] and told["then"] == [["none", "ditflow"]]
    assert told["paused"] and told["playing"] and told["stopped"]
    assert (told["pressed"], told["button"]) == ("true", "Pause all")
    assert f"“{PROMPT}”" in told["paragraphs"]
    assert told["fits"], "tables and walls scroll in themselves, the page does not"
    check_charts(told["charts"], Image.open(tmp_path / "page.png").convert("RGB"))
    assert len(told["decoded"]) == 24
    for wide, high, darkest, lightest in told["decoded"]:
        assert (wide, high) == (32, 32) and darkest < 40 and lightest > 215, "the square and what is behind it"


def check_charts(found: Sequence[Any], picture: Image.Image) -> None:
    """Every method is a dot of the accent's colour within its chart, and no two are in one place."""
    assert len(found) == 2
    for chart in found:
        left, top, right, bottom = chart["box"]
        assert right - left > 250 and bottom - top > 150 and right <= picture.width and bottom <= picture.height
        assert len(chart["points"]) == len(chart["labels"]) == 3
        middles = {(round((box[0] + box[2]) / 2), round((box[1] + box[3]) / 2)) for box in chart["points"]}
        assert len(middles) == 3
        for across, down in middles:
            assert np.abs(np.array(picture.getpixel((across, down)), dtype=int) - ACCENT).max() < 40
        for box in chart["points"] + chart["labels"]:
            assert left <= box[0] < box[2] <= right and top <= box[1] < box[3] <= bottom


ACCENT = (0xB8, 0x3D, 0x15)
"""Colour of the dots on a light page."""
PLAYED = """
(async () => {
  const all = await loaded();
  const walls = [...document.querySelectorAll(".wall")].map(wall => all.filter(video => wall.contains(video)));
  document.querySelector("button.play").click();
  const seen = new Map(all.map(video => [video, {furthest: 0, now: 0, starts: 0}]));
  const enough = () => all.every(video => seen.get(video).starts >= 1 + (video.duration < 1));
  for (const end = performance.now() + 40000; performance.now() < end && !enough();) {
    for (const video of all) {
      const own = seen.get(video), now = video.currentTime;
      if (now < own.now - .1) own.starts += 1;
      own.now = now;
      own.furthest = Math.max(own.furthest, now / video.duration);
    }
    await new Promise(done => setTimeout(done, 15));
  }
  return walls.map(wall => wall.map(video => ({length: video.duration, ...seen.get(video)})));
})()
"""
"""Plays all and tells how far each video came, and how often it began again."""


@pytest.mark.slow
@in_browser
def test_every_video_plays_to_its_end(chromium: Chromium, tmp_path: Path):
    """Those of the first section are short; in the second, one is shorter than its reference."""
    video(tmp_path / "short.mp4", frames=5)
    video(tmp_path / "long.mp4", frames=20)
    short, long = ({"reference_video": f"{name}.mp4"} for name in ("short", "long"))
    made = [
        record("none", 0, {"looks": 1.0}, video="short.mp4", **short),
        record("none", 0, {"looks": 1.0}, video="long.mp4", model="other", **long),
        record("smm", 0, {"looks": 1.0}, video="short.mp4", model="other", **long),
    ]
    write_report(write(tmp_path, made), tmp_path / "report.html")
    first, second = told_by(chromium, tmp_path / "report.html", PLAYED)
    assert [each["length"] > 1 for each in first + second] == [False, False, True, True, False]
    assert all(each["furthest"] > 0.8 for each in first + second)
    assert all(each["starts"] >= 2 for each in first), "they begin again by themselves"
    starts = [each["starts"] for each in second]
    assert starts == [starts[0]] * 3 and starts[0] >= 1, "in a wall, all begin with the longest"


@pytest.mark.parametrize("start", ["=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1", "\t=1", "\r=1", "\uff1d1"])
def test_no_cell_of_a_table_is_run_by_a_spreadsheet(tmp_path: Path, start: str):
    own = [record(start, number, {"aligned_error": error}) for number, error in enumerate((0.1, 0.2, 0.3))]
    own += [record("none", number, {"aligned_error": error}) for number, error in enumerate((0.4, 0.5, 0.6))]
    write_report(write(tmp_path, own), tmp_path / "page.html")
    for name in ("page-means.csv", "page-pairs.csv"):
        cells = [row["method"] for row in csv.DictReader((tmp_path / name).open(newline=""))]
        assert f"'{start.strip()}" in cells and not {start, start.strip()} & {*cells}
    pair = next(csv.DictReader((tmp_path / "page-pairs.csv").open(newline="")))
    assert float(pair["difference"]) == pytest.approx(-0.3), "a number stays one"
