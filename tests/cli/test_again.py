"""Videos that are made again by what they say of themselves."""

import json
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from motionlift.cli import again
from motionlift.cli.main import run
from motionlift.video.clip import Clip
from motionlift.video.marks import KEY, RECORD, marked_json
from tests import twins
from tests.cli.calls import PROMPT, QUICK, frames_of, left_behind, refused


@pytest.fixture(scope="module")
def made(clips: Path, model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a reference and a video of it, which is not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copy(clips / "one.mp4", folder / "r.mp4")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["transfer", "r.mp4", "--prompt", PROMPT, "--model", model, *QUICK, "--seed", "3"]) == 0
    return folder


@pytest.fixture
def here(made: Path) -> None:
    """The same in the folder of the test."""
    for path in made.iterdir():
        shutil.copy(path, path.name)


def comment(video: str) -> dict[str, Any]:
    """What a video says of itself, as another program reads it."""
    with av.open(video) as container:
        return json.loads(container.metadata["comment"])


def written(path: str, told: dict[str, Any]) -> None:
    """A record with these words and the right mark, as somebody might forge it."""
    Path(path).write_text(json.dumps(marked_json(RECORD, {key: told[key] for key in told if key != KEY})))


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_video_alone_is_made_again_with_the_same_frames(capsys: pytest.CaptureFixture[str]):
    record = json.loads(Path("out.json").read_text())
    Path("out.json").unlink()
    told = comment("out.mp4")
    assert told[KEY].startswith("record ")
    assert {name: told[name] for name in told if name != KEY} == {name: record[name] for name in told if name != KEY}, (
        "the record but for what it cost"
    )
    assert {"prompt", "seed", "settings", "method", "model", "source", "versions"} <= told.keys()
    capsys.readouterr()
    assert run(["again", "out.mp4"]) == 0
    assert "note: these are the frames of out.mp4\n" in capsys.readouterr().err
    assert left_behind() == ["out-again.json", "out-again.mp4", "out.mp4", "r.mp4"]
    assert Path("out.mp4").read_bytes() == Path("out-again.mp4").read_bytes(), "the record in it is the same too"
    command = json.loads(Path("out-again.json").read_text())["command"]
    assert command[:2] == ["motionlift", "transfer"] and "--seed=3" in command, "as it would have been typed"


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_what_was_asked_for_can_be_left_out(capsys: pytest.CaptureFixture[str]):
    told = comment("out.mp4")
    words = [*told["again"], "--lora=none.safetensors:0.5", "--picture=none.png", "--compile", "--set=cfg=3"]
    words = [words[0], *words[-4:], *words[1:-4]]  # what a command begins from stays last
    written("made.json", {**told, "again": words})
    assert "none.png" in refused(capsys, 1, "again", "made.json")
    without = ["--no-lora", "--no-picture", "--no-compile", "--no-set", "--no-upscale", "--overwrite"]
    assert run(["again", "made.json", "-o", "without.mp4", *without]) == 0
    assert "the record has no --upscale that could be left out" in capsys.readouterr().err
    again_ = comment("without.mp4")["again"]
    assert not [word for word in again_ if word.startswith(("--lora", "--picture", "--compile", "--set"))]
    assert "both given" in refused(capsys, 1, "again", "made.json", "--no-seed", "--seed", "4")
    assert "No such option: --no-such" in refused(capsys, 2, "again", "made.json", "--no-such")
    meant = refused(capsys, 2, "again", "made.json", "--methd", "none")
    assert "No such option: --methd (did you mean --method?)" in meant


@pytest.mark.parametrize(
    ("file", "written", "place"),
    [
        ("frames.json", "a/frames", "frames-again"),
        ("out.json", "out.mp4", "out-again.mp4"),
        ("moved.json", "out.mp4", "moved-again.mp4"),
        ("x.gif.json", "x.gif", "x-again.gif"),
        ("out.json", "/etc/x.conf", "out-again.mp4"),
        ("out.json", 3, "out-again.mp4"),
        ("frames", "frames", "frames-again"),
    ],
)
def test_it_is_written_in_the_form_of_the_first(file: str, written: str, place: str):
    assert again._output(Path(file), {"output": {"path": written}}) == Path(place)


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_options_change_what_was_asked_for(capsys: pytest.CaptureFixture[str]):
    assert run(["again", "--seed", "4", "out.json", "--set", "steps=3", "--output", "other.gif"]) == 0
    assert "these are" not in capsys.readouterr().err
    record = json.loads(Path("other.gif.json").read_text())
    assert (record["seed"], record["settings"]["steps"], record["prompt"]) == (4, 3, PROMPT)
    assert record["settings"]["inner"] == 1, "what was not changed stays"
    assert run(["again", "other.gif", "--prompt", "a blue star", "--steps=2", "--output", "third.mp4"]) == 0
    record = json.loads(Path("third.json").read_text())
    assert (record["seed"], record["settings"]["steps"], record["prompt"]) == (4, 2, "a blue star")


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_what_is_typed_takes_the_place_of_what_it_excludes(model: str, capsys: pytest.CaptureFixture[str]):
    shown = ["transfer", "r.mp4", "--prompt", PROMPT, "--model", model, "--method", "none", "--steps", "2"]
    assert run([*shown, "--crop", "0.3,0.5", "--side-by-side", "-o", "shown.mp4"]) == 0
    Path("p.txt").write_text("a red star\n")
    capsys.readouterr()
    assert run(["again", "shown.mp4", "--fit", "pad", "--prompts", "p.txt", "--upscale", "-o", "w.mp4"]) == 0
    told = capsys.readouterr().err
    assert "note: --crop of the record is left out: --fit pad crops nothing\n" in told
    assert "note: --side-by-side of the record is left out: it shows frames beside those of the reference\n" in told
    record = json.loads(Path("w-1.json").read_text())
    assert record["prompt"] == "a red star" and "--crop=0.3,0.5" not in record["again"]


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_file_that_changed_since_is_refused_unless_it_is_given_anew(
    clips: Path, model: str, capsys: pytest.CaptureFixture[str]
):
    shutil.copy(clips / "two.mp4", "r.mp4")
    assert "r.mp4 was changed since; give r.mp4 after the file to take it as it is" in refused(
        capsys, 1, "again", "out.mp4"
    )
    assert run(["again", "out.mp4", "r.mp4"]) == 0
    Path("r.mp4").unlink()
    assert "r.mp4, of which it was made, is not there; give it, or another, after the file" in refused(
        capsys, 1, "again", "out.mp4"
    )
    shutil.copy(clips / "one.mp4", "r.mp4")
    other = twins.cogvideox()
    other.transformer.proj_out.weight.data.add_(1)
    told = json.loads(Path("out.json").read_text())
    other.save_pretrained("other")
    written("forged.json", {**told, "again": [word.replace(model, "other") for word in told["again"]]})
    assert "other has other weights than forged.json was made with; give --model other" in refused(
        capsys, 1, "again", "forged.json"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_cast_is_made_again_of_the_same_motion(
    model: str, motion: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    shutil.copy(motion, "m.safetensors")
    assert run(["cast", "m.safetensors", "--prompt", PROMPT, "--model", model, "--output", "cast.webm"]) == 0
    capsys.readouterr()
    (tmp_path / "else").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path / "else")
        assert run(["again", "../here/cast.webm"]) == 0, "what is not here is looked for beside the video"
        assert np.array_equal(frames_of("../here/cast.webm"), frames_of("cast-again.webm"))
    assert "these are the frames of" in capsys.readouterr().err
    assert run(["lift", "r.mp4", "--model", model, *QUICK, "--output", "m.safetensors", "--overwrite", "--seed"]) == 2
    assert run(["lift", "out.mp4", "--model", model, *QUICK, "--output", "m.safetensors", "--overwrite"]) == 0
    assert "m.safetensors was changed since" in refused(capsys, 1, "again", "cast.webm")


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_what_has_no_record_of_ours_is_refused_in_a_line(capsys: pytest.CaptureFixture[str]):
    Clip.read("r.mp4", frames=9, fps=8, aspect=(32, 32)).save("clip.mp4")
    assert "clip.mp4 holds no record of motionlift, and there is none beside it" in refused(
        capsys, 1, "again", "clip.mp4"
    )
    assert "gone.mp4 does not exist" in refused(capsys, 1, "again", "gone.mp4")
    assert "no file came" in refused(capsys, 1, "again", "--seed", "3")
    assert "No such option: --colour" in refused(capsys, 2, "again", "out.mp4", "--colour", "red")
    assert "No such option: --nonsense; see motionlift again --help" in refused(
        capsys, 2, "again", "out.mp4", "--nonsense", "3"
    )
    near = "No such option: --promt (did you mean --prompt or --prompts"
    assert near in refused(capsys, 2, "again", "out.mp4", "--promt", "3")
    assert "at most one reference" in refused(capsys, 1, "again", "out.mp4", "a", "b")
    told = json.loads(Path("out.json").read_text())
    Path("changed.json").write_text(json.dumps({**told, "seed": 5}))
    assert "changed.json is no record as motionlift wrote it" in refused(capsys, 1, "again", "changed.json")
    shutil.copy("out.json", "clip.json")
    assert "clip.json is the record of another file than clip.mp4" in refused(capsys, 1, "again", "clip.mp4")
    for name, changes, words in (
        ("python", {"again": None, "command": None}, "made in Python"),
        ("bench", {"again": ["bench", "quick"]}, "was not made by transfer or cast"),
        ("option", {"again": ["transfer", "r.mp4", "--colour"]}, "is not of this version: No such option: --colour"),
        ("form", {"again": {"transfer": 1}}, "says no command of motionlift"),
        ("number", {"again": ["transfer", 3]}, "says no command of motionlift"),
        ("many", {"again": ["transfer"] * 2000}, "says no command of motionlift"),
    ):
        written(f"{name}.json", {key: value for key, value in {**told, **changes}.items() if value is not None})
        assert words in refused(capsys, 1, "again", f"{name}.json"), name


@pytest.mark.slow
def test_what_is_in_a_comment_is_json_and_bounded(capsys: pytest.CaptureFixture[str]):
    """Whatever another program wrote there."""
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    for number, text in enumerate(("__import__('os')", "[" * 10**5, '"text"', "{}", '{"' + KEY + '": 3}', "é" * 10**6)):
        with av.open(f"{number}.mp4", "w") as container:
            container.metadata["comment"] = text
            stream = container.add_stream("libx264", rate=8)
            stream.width = stream.height = 16
            for image in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
        told = refused(capsys, 1, "again", f"{number}.mp4")
        assert ("holds no record" if number != 4 else "was changed since") in told


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_record_says_nothing_of_where_files_are_written(capsys: pytest.CaptureFixture[str]):
    """Though somebody put it there."""
    told = json.loads(Path("out.json").read_text())
    places = ["--output=stolen.mp4", "--overwrite", "--run=stolen", "--json"]
    written("forged.json", {**told, "again": [told["again"][0], *places, *told["again"][1:]]})
    written("older.json", {key: value for key, value in told.items() if key != "again"})
    for name in ("forged", "older"):
        assert run(["again", f"{name}.json"]) == 0
    assert not list(Path.cwd().glob("stolen*"))
    assert {"forged-again.mp4", "older-again.mp4"} <= {*left_behind()}
    assert "forged-again.mp4: it is there already; choose another name, or give --overwrite" in refused(
        capsys, 1, "again", "forged.json"
    )
    assert again.EXPECTED.get() is None


def test_changes_take_the_place_of_what_says_the_same_in_another_way():
    merged = again._merged({"settings": ["steps=3", "lr=1"], "prompt": "a"}, {"steps": "4"})
    assert merged == {"settings": ["lr=1"], "prompt": "a", "steps": "4"}
    assert again._merged({"steps": "3"}, {"settings": ["steps=4"]}) == {"settings": ["steps=4"]}
    assert again._merged({"settings": ["lr=1"]}, {"settings": ["lr=2", "a=b"]}) == {"settings": ["lr=2", "a=b"]}
    assert again._merged({"pairs": ["a=b"], "settings": ["subjects=c"]}, {"pairs": ["d=e"]}) == {"pairs": ["d=e"]}
    assert again._merged({"reference_form": "hard"}, {"settings": ["reference=soft"]}) == {
        "settings": ["reference=soft"]
    }
