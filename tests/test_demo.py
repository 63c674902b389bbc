import base64
import json
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from motionlift import demo
from motionlift.demo import LOOKS, Look, make_demo
from motionlift.errors import OutputError
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.video.sheets import moving_picture
from motionlift.world import scenes
from motionlift.world.judge import Verdict
from motionlift.world.named import named_vocabulary
from motionlift.world.places import PLACES
from motionlift.world.things import THINGS
from tests import twins

pytestmark = pytest.mark.slow  # one demo is made for all

RESULTS = [f"{number}-{way}" for number in (1, 2, 3) for way in ("without", "attention", "flow")]
VIDEOS = ["reference", "attention", "flow", *RESULTS]
EMPTY_TAGS = {"meta"}


@dataclass
class Made:
    """A demo of the random twin, and what was there before."""

    folder: Path
    page: str
    shares: list[float]
    lines: list[str]
    early: list[bool]
    """Whether each video was there when it was told."""
    pictured: list[str]
    """Labels of the moving picture."""


@pytest.fixture(scope="module")
def twin():
    """A pipeline whose text window takes the demo's prompts, with a name that a page must escape."""
    pipeline = twins.cogvideox(window=32)
    pipeline.register_to_config(_name_or_path="a<b>&c")
    return pipeline


@pytest.fixture(scope="module")
def made(twin, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "index.html").write_text("<title>motionlift demo</title>")  # of a version without marks
    (folder / "mine.txt").write_text("not of the demo")
    ways = tuple(replace(way, settings={**way.settings, "steps": 3, "share": 0.34, "inner": 1}) for way in demo.WAYS)
    shares: list[float] = []
    lines: list[str] = []
    early: list[bool] = []
    pictured: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        early.append(Path(line.partition(": wrote ")[2]).is_file() and not (folder / "demo.webp").exists())

    def picture(clips, path: Path, across: int) -> None:
        assert (len(clips), across) == (8, 4)
        pictured.extend(label for label, _ in clips)
        moving_picture(clips, path, across=across)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "WAYS", ways)
        patch.setattr(demo, "moving_picture", picture)
        page = make_demo(folder, twin, lambda _doing, share: shares.append(share), tell=tell)
    assert page == folder / "index.html"
    return Made(folder, page.read_text(encoding="utf-8"), shares, lines, early, pictured)


class Reader(HTMLParser):
    """Collects videos and addresses, and sees that every tag is closed."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.videos: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.addresses += [named[name] for name in ("src", "href", "srcset", "poster", "data") if name in named]
        if tag == "video":
            self.videos.append(named["src"])
        if tag not in EMPTY_TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_folder_holds_videos_records_motions_and_the_page(made: Made):
    names = {path.name for path in made.folder.iterdir()}
    videos = {f"{name}.mp4" for name in VIDEOS}
    records = {f"{name}.json" for name in RESULTS}
    motions = {"attention.safetensors", "flow.safetensors"}
    assert names == videos | records | motions | {"demo.webp", "index.html", "mine.txt"}
    assert (made.folder / "mine.txt").read_text() == "not of the demo"


def test_each_video_is_there_when_it_is_done(made: Made):
    assert all(made.early)
    told = [line.partition(": wrote ")[::2] for line in made.lines]
    assert [Path(path).name for _, path in told] == [f"{name}.mp4" for name in ("reference", *RESULTS)]
    assert told[5][0] == "prompt 2 of 3 (attention)"


def test_an_earlier_demo_stays_unless_it_may_be_overwritten(made: Made):
    with pytest.raises(OutputError, match="it is there already; choose another name, or give --overwrite"):
        make_demo(made.folder, "no such model", overwrite=False)


def test_every_video_plays_and_every_record_says_what_was_asked(made: Made):
    for name in VIDEOS:
        clip = Clip.read(made.folder / f"{name}.mp4", frames=9, fps=8, aspect=(1, 1))
        assert len(clip.frames) == 9 and clip.notices == ()
    for name in RESULTS:
        record = json.loads((made.folder / f"{name}.json").read_text())
        assert record["prompt"] == LOOKS[int(name[0]) - 1].prompt
        assert record["method"] == ("none" if name.endswith("without") else "ditflow")
        assert record["passes"]["backward"] == (0 if name.endswith("without") else 1)


def test_the_pixels_were_read_for_one_motion_and_the_attention_for_the_other(made: Made):
    flow, attention = (Motion.load(made.folder / f"{name}.safetensors") for name in ("flow", "attention"))
    assert (flow.settings["read"], attention.settings["read"]) == ("flow", "attention")
    assert flow.source.sha256 == attention.source.sha256


def test_the_page_holds_every_video_and_needs_nothing_else(made: Made):
    reader = Reader()
    reader.feed(made.page)
    assert reader.open == []
    assert all(address.startswith("data:video/mp4;base64,") for address in reader.addresses)
    assert "http" not in made.page and "url(" not in made.page and "@import" not in made.page
    shown = [base64.b64decode(address.partition(",")[2]) for address in reader.videos]
    assert shown == [(made.folder / f"{name}.mp4").read_bytes() for name in VIDEOS]


def test_the_page_says_what_was_asked_and_escapes_what_came(made: Made):
    assert "a&lt;b&gt;&amp;c" in made.page and "a<b>" not in made.page
    assert all(look.prompt in made.page for look in LOOKS)
    assert made.page.count("direction cosine</dt>") == 9
    assert "{{" not in made.page and "{%" not in made.page


def test_the_picture_shows_each_prompt_with_motion_above_the_same_without_and_both_errors(made: Made):
    above, below = made.pictured[:4], made.pictured[4:]
    assert (above[0], below[0]) == ("reference", "reference")
    errors = re.findall(r"track error</dt><dd>(\S+)</dd>", made.page)
    assert above[1:] == [f"{look.prompt}: track error {error}" for look, error in zip(LOOKS, errors[1::3], strict=True)]
    assert below[1:] == [f"without motion: track error {error}" for error in errors[::3]]


def test_progress_grows_from_nothing_to_all(made: Made):
    assert made.shares == sorted(made.shares)
    assert (made.shares[0], made.shares[-1]) == (0.0, 1.0)


def test_the_prompts_are_new_to_the_bundled_model_but_their_words_are_not():
    words = set(named_vocabulary())
    for look in LOOKS:
        assert scenes.held_out(look.prompt)
        assert set(look.prompt.split()) <= words
        assert look.colour in scenes.COLOURS and look.shape in THINGS
        assert look.ground in PLACES[look.pattern].tones


def verdict(**changes) -> Verdict:
    seen = {"shape": "bird", "colour": "red", "pattern": "sky", "ground": "blue"}
    return Verdict(**{**seen, **changes}, centres=torch.full((9, 2), 0.5), masks=torch.zeros(9, 64, 64))


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, set()),
        ({"colour": "green"}, {"colour"}),
        ({"shape": None}, {"shape"}),
        ({"pattern": "sea"}, {"background"}),
        ({"ground": "grey"}, {"background"}),
    ],
)
def test_a_look_is_seen_where_the_judge_sees_what_was_asked(changes, wrong):
    seen = Look("red", "bird", "blue", "sky").seen_in(verdict(**changes))
    assert {name for name, right in seen.items() if not right} == wrong


def test_a_path_that_is_lost_is_drawn_in_pieces():
    path = torch.tensor([[1.0, 2.0], [3.0, 4.0], [torch.nan] * 2, [5.0, 6.0], [torch.nan] * 2]).double().numpy()
    first, second = demo._pieces(path)
    assert (first.points, first.x, first.y) == ("1.0,2.0 3.0,4.0", "3.0", "4.0")
    assert (second.points, second.x, second.y) == ("5.0,6.0", "5.0", "6.0")
    assert demo._pieces(path[4:]) == []


def test_a_folder_that_cannot_be_is_refused_before_any_work(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        make_demo(file, "no such model")
    with pytest.raises(OutputError, match="cannot make the folder"):
        make_demo(tmp_path / "missing" / "demo", "no such model")
    assert file.read_text() == "mine" and list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "name", ["index.html", "demo.webp", "reference.mp4", "flow.safetensors", "flow.mp4", "3-flow.json"]
)
def test_a_file_of_somebody_s_is_refused_before_any_work(tmp_path: Path, name: str):
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=rf"{name}: the file that is there is no"):
        make_demo(tmp_path, "no such model")
    assert (tmp_path / name).read_text() == "mine" and [path.name for path in tmp_path.iterdir()] == [name]


def test_what_is_refused_before_is_all_that_is_written(made: Made):
    kinds = dict(demo._files(made.folder))
    assert {path.name for path in made.folder.iterdir()} == {path.name for path in kinds} | {"index.html", "mine.txt"}
    assert all(kind.wrote(path) for path, kind in kinds.items())
    assert demo.DEMO.wrote(made.folder / "index.html")


def test_an_interruption_leaves_no_page_and_nothing_half_written(twin, tmp_path: Path):
    def interrupt(doing: str, _share: float) -> None:
        if doing.startswith("lifting"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_demo(tmp_path / "demo", twin, interrupt)
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["reference.mp4"]
