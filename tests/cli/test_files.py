"""Every command at folders of files that others wrote, at its own files again, and on full disks."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from motionlift.cli.main import run
from motionlift.motion import cache
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.work import cast as casting
from motionlift.work import lift as lifting
from tests.bench import made_records
from tests.cli.calls import PROMPT, QUICK, frames_of, left_behind, refused
from tests.full_disk import FullDisk

TUNED = ("--method", "vmc", "--source-prompt", "a red star", "--steps", "2", "--set", "tuning_steps=2")
RUN = ("--run", "run", "--previews", "1")
COMMANDS = {
    "transfer": ("transfer", "REFERENCE", "--prompt", PROMPT, "--model", "MODEL", *QUICK, "--output", "x.mp4"),
    "lift": ("lift", "REFERENCE", "--model", "MODEL", *QUICK, "--output", "m.safetensors"),
    "cast": (
        "cast",
        "MOTION",
        "--prompt",
        PROMPT,
        "--model",
        "MODEL",
        "--output",
        "x.mp4",
        "--keep-motion",
        "k.safetensors",
    ),
    "edit": ("edit", "MOTION", "mirror", "--output", "e.safetensors"),
    "export": ("export", "TUNED", "a.safetensors", "--for", "peft", "--rank", "1"),
    "inspect": ("inspect", "REFERENCE", "--model", "MODEL", "--output", "i.mp4"),
    "world": ("world", "w", "--count", "2", "--frames", "3", "--size", "16"),
    "tune": ("lift", "REFERENCE", "--model", "MODEL", *TUNED, *RUN, "--output", "m.safetensors"),
    "bench": ("bench", "quick", "--output", "b", "--jobs", "1"),
    "report": ("report", "RECORDS", "--output", "page.html"),
}
"""Every command that writes and is not tried elsewhere; what it reads is in capital letters."""
WRITTEN = {
    "transfer": ("x.mp4", "x.json"),
    "lift": ("m.safetensors",),
    "cast": ("x.mp4", "x.json", "k.safetensors"),
    "edit": ("e.safetensors",),
    "export": ("a.safetensors",),
    "inspect": ("i.mp4", "i.png"),
    "world": ("w/0000.mp4", "w/0000.json", "w/0001.mp4", "w/0001.json"),
    "tune": (
        "m.safetensors",
        *[f"run/{name}" for name in (".motionlift-run", "checkpoint.safetensors", "loss.csv", "previews")],
    ),
    "bench": ("b/records.jsonl", "b/.motionlift.lock"),
    "report": (
        *("page.html", "page-tables.md", "page-tables.tex", "page-means.csv", "page-pairs.csv"),
        *("page-chart-1.png", "page-chart-2.png"),
    ),
}
"""The names of what each writes."""
BYSTANDERS = (
    "notes.json",
    "x.txt",
    "loss.csv",
    ".lock",
    "run/.lock",
    "run/notes.txt",
    "w/0002.mp4",
    "b/notes.jsonl",
    "page.md",
)
"""Names beside them that nothing of ours has."""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def made(folder: Path, name: str, data: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


@pytest.fixture(scope="module")
def given(clips: Path, model: str, motion: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the commands read, by the words that stand for it."""
    folder = tmp_path_factory.mktemp("given")
    reference, tuned = str(clips / "one.mp4"), str(folder / "tuned.safetensors")
    assert run(["lift", reference, "--model", model, *TUNED, "--output", tuned]) == 0
    records = made_records.write(folder, made_records.error_records({"none": [0.3, 0.2], "ditflow": [0.2, 0.1]}))
    return {"REFERENCE": reference, "MODEL": model, "MOTION": str(motion), "TUNED": tuned, "RECORDS": str(records)}


def command(name: str, given: dict[str, str]) -> list[str]:
    return [given.get(word, word) for word in COMMANDS[name]]


@pytest.mark.parametrize(("name", "file"), [(name, file) for name, files in WRITTEN.items() for file in files])
def test_a_file_of_somebody_s_is_refused_by_name_before_a_model_is_loaded(
    name: str, file: str, given: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    for other in (*BYSTANDERS, file):
        made(Path.cwd(), other, b"mine")
    before = contents(Path.cwd())
    told = refused(capsys, 1, *command(name, {**given, "MODEL": "no/such"}))
    assert file in told and "remove it" in told
    assert contents(Path.cwd()) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "bench"])
def test_a_command_that_is_repeated_replaces_its_own_files_alone(name: str, given: dict[str, str]):
    """``bench`` adds to its records; its own tests say so."""
    for other in BYSTANDERS:
        made(Path.cwd(), other, b"mine")
    for more in ([], ["--overwrite"]):
        assert run([*command(name, given), *more]) == 0
        now = contents(Path.cwd())
        assert {other for other, data in now.items() if data == b"mine"} == set(BYSTANDERS)
        written = {file if Path(file).is_file() else f"{file}/000002.png" for file in WRITTEN[name]}
        assert set(now) == written | set(BYSTANDERS), "nothing is missing and nothing is left over"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("bench", "tune")])
def test_a_command_that_is_repeated_refuses_to_overwrite(
    name: str, given: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    assert run(command(name, given)) == 0
    before = contents(Path.cwd())
    told = refused(capsys, 1, *command(name, {**given, "MODEL": "no/such"}))
    assert "it is there already; choose another name, or give --overwrite" in told
    assert contents(Path.cwd()) == before


@pytest.mark.slow
def test_what_is_there_is_not_overwritten_and_what_comes_meanwhile_is_not_either(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """One command of each kind of place; the others are tried where there is time."""
    world = command("world", given)
    assert run(world) == 0
    before = contents(Path.cwd())
    told = "it is there already; choose another name, or give --overwrite"
    assert told in refused(capsys, 1, *world) and contents(Path.cwd()) == before
    cast, made = command("cast", {**given, "MODEL": "no/such"}), command("cast", given)
    for name in ("x.json", "x.mp4", "k.safetensors"):
        shutil.copy({".mp4": "w/0000.mp4", ".json": "w/0000.json"}.get(Path(name).suffix, given["MOTION"]), name)
        said = refused(capsys, 1, *cast)
        assert name in said and (told in said) == (name == "k.safetensors")
        Path(name).unlink()
    finished = casting.casted

    def meanwhile(*given: Any) -> Any:
        shutil.copy(before_video, "x.mp4")
        return finished(*given)

    before_video = "w/0000.mp4"
    monkeypatch.setattr(casting, "casted", meanwhile)
    assert run(made) == 0
    assert "x.mp4 was written by another meanwhile and stays; this is x-2.mp4" in capsys.readouterr().err
    assert Path("x.mp4").read_bytes() == Path("w/0000.mp4").read_bytes()
    assert Path("x-2.mp4").is_file() and json.loads(Path("x-2.json").read_text())["output"]["path"] == "x-2.mp4"


@pytest.mark.slow
def test_reference_and_result_take_no_place_that_another_took_meanwhile(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The file that shows both goes by the name of the video, which gives way with it."""
    lifted, taken = lifting.lifted, "y-side-by-side.mp4"

    def meanwhile(*arguments: Any) -> Any:
        Clip.of(torch.zeros(2, 32, 32, 3, dtype=torch.uint8), 8).save(taken)
        return lifted(*arguments)

    monkeypatch.setattr(lifting, "lifted", meanwhile)
    words = ["transfer", given["REFERENCE"], "--model", given["MODEL"], "--prompt", PROMPT, *QUICK, "--output", "y.mp4"]
    assert run([*words, "--side-by-side"]) == 0
    assert "y.mp4 was written by another meanwhile and stays; this is y-2.mp4" in capsys.readouterr().err
    assert frames_of(taken).max() == 0
    assert {*left_behind()} == {taken, "y-2-side-by-side.mp4", "y-2.json", "y-2.mp4"}


def test_the_truth_beside_a_reference_stays(given: dict[str, str], capsys: pytest.CaptureFixture[str]):
    """A record takes no truth's place, however the video's suffix is written, and a drawing no clip's."""
    assert run(["world", ".", "--count", "1", "--frames", "9", "--size", "32"]) == 0
    before = contents(Path.cwd())
    start = ["0000.mp4", "--model", "no/such", "--output"]
    for output in ("0000.MP4", "0000.Mp4"):
        assert "0000.json" in refused(capsys, 1, "transfer", *start, output, "--prompt", PROMPT)
    assert "it is the reference" in refused(capsys, 1, "transfer", *start, "0000.mp4", "--prompt", PROMPT)
    reference = given["REFERENCE"]
    told = refused(capsys, 1, "inspect", reference, "--model", "no/such", "--output", "0000.mp4")
    assert "0000.mp4: the file that is there is no drawing" in told
    assert "0000.json" in refused(capsys, 1, "cast", given["MOTION"], "--prompt", PROMPT, "--output", "0000.MP4")
    assert contents(Path.cwd()) == before


def test_what_is_read_is_not_written_over(given: dict[str, str], capsys: pytest.CaptureFixture[str]):
    """By whatever name it goes."""
    shutil.copy(given["MOTION"], "m.safetensors")
    shutil.copy(given["TUNED"], "t.safetensors")
    shutil.copy(given["TUNED"], "u.safetensors")
    shutil.copy(given["REFERENCE"], "r.mp4")
    Path("link.safetensors").symlink_to("m.safetensors")
    Path("hard.safetensors").hardlink_to("t.safetensors")
    Path("link.mp4").symlink_to("r.mp4")
    before = contents(Path.cwd())
    cast = ["cast", "m.safetensors", "--prompt", PROMPT, "--model", "no/such", "--keep-motion"]
    for kept in ("m.safetensors", "link.safetensors"):
        assert "it is the motion itself" in refused(capsys, 1, *cast, kept)
    mix = ["cast", "u.safetensors", *cast[2:], "hard.safetensors", "--mix", "t.safetensors=0.5"]
    assert "it is the motion itself" in refused(capsys, 1, *mix)
    assert "it is the motion itself" in refused(
        capsys, 1, "export", "t.safetensors", "hard.safetensors", "--for", "peft"
    )
    assert "it is the motion itself" in refused(capsys, 1, "edit", "m.safetensors", "mirror", "-o", "link.safetensors")
    for command in (["transfer", "r.mp4", "--prompt", PROMPT], ["inspect", "r.mp4"]):
        assert "it is the reference" in refused(capsys, 1, *command, "--model", "no/such", "--output", "link.mp4")
    assert "no adapter" in refused(capsys, 1, "export", "t.safetensors", "m.safetensors", "--for", "peft")
    assert contents(Path.cwd()) == before


@pytest.mark.slow
def test_a_project_is_no_cache(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    """``MOTIONLIFT_CACHE=.`` where a project lies, also when it is full, and after runs of long ago."""
    monkeypatch.setenv("MOTIONLIFT_CACHE", ".")
    motion = Path(given["MOTION"]).read_bytes()
    for name, data in {
        "motions/walk.safetensors": motion,
        f"motions/{cache.key({})}.safetensors": motion,
        "runs/mine/records.jsonl": b"{}",
        "runs/mine/checkpoint.safetensors": Path(given["TUNED"]).read_bytes(),
        "at-work/mine.lock": b"",
    }.items():
        made(Path.cwd(), name, data)
        os.utime(name, (1, 1))
    before = contents(Path.cwd())
    monkeypatch.setenv("MOTIONLIFT_CACHE_BYTES", "100000")
    lift = [
        "lift",
        given["REFERENCE"],
        "--model",
        given["MODEL"],
        "--overwrite",
        "--output",
        str(tmp_path / "m.safetensors"),
    ]
    for method in (QUICK, TUNED):
        assert run([*lift, *method]) == 0
        assert "is not used: it holds walk.safetensors, which motionlift did not put there" in capsys.readouterr().err
    for more in ([], ["--clear"]):
        assert run(["cache", *more]) == 0
        told = capsys.readouterr()
        assert ": 0 motions" in told.out and "runs is not used: it holds mine" in told.err
    assert contents(Path.cwd()) == before


@pytest.mark.slow
def test_a_cache_on_a_full_disk_stops_nothing(
    given: dict[str, str],
    full_disk: FullDisk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """What was tuned is written, and a note says that the cache has nothing of it."""
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(full_disk.folder))
    arguments = ["--model", given["MODEL"], "--overwrite", "--output"]
    for pages in (0, 2, 3):
        for method in (QUICK, TUNED):
            with full_disk.left(pages):
                assert run(["lift", given["REFERENCE"], *method, *arguments, f"{method[1]}.safetensors"]) == 0
            assert "full" in capsys.readouterr().err or pages, pages
    assert Motion.load("vmc.safetensors").adapter()
    assert run(["transfer", given["REFERENCE"], "--prompt", PROMPT, *TUNED, *arguments, "x.mp4"]) == 0
    with full_disk.left(0):
        moft = ("--method", "moft", "--steps", "2")
        assert run(["transfer", given["REFERENCE"], "--prompt", PROMPT, *moft, *arguments, "y.mp4"]) == 0
    assert any("disk is full" in notice for notice in json.loads(Path("y.json").read_text())["notices"])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "bench"])
def test_a_full_disk_is_told_in_a_line_and_what_was_there_stays(
    name: str,
    given: dict[str, str],
    full_disk: FullDisk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(full_disk.folder)
    assert run(command(name, given)) == 0
    before = contents(full_disk.folder)
    with full_disk.left(0):
        told = refused(capsys, 1, *command(name, given), "--overwrite")
        assert "the disk is full" in told
    assert contents(full_disk.folder) == before


@pytest.mark.slow
def test_a_damaged_motion_of_the_cache_is_lifted_anew_and_told(
    given: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    lift = ["lift", given["REFERENCE"], "--model", given["MODEL"], *QUICK, "--output"]
    assert run([*lift, "a.safetensors"]) == 0
    (kept,) = cache.folder().glob("*.safetensors")
    data = bytearray(kept.read_bytes())
    data[-1] ^= 1
    kept.write_bytes(data)
    capsys.readouterr()
    assert run([*lift, "b.safetensors"]) == 0
    assert f"{kept} is not the motion that was kept there; it is lifted anew" in capsys.readouterr().err
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()
    assert run([*lift, "c.safetensors"]) == 0
    assert "came from the cache" in capsys.readouterr().err
    save_file({"weight": torch.zeros(1)}, "foreign.safetensors")
    assert "no motion as motionlift wrote it" in refused(capsys, 1, *lift, "foreign.safetensors")
    assert left_behind() == ["a.safetensors", "b.safetensors", "c.safetensors", "foreign.safetensors"]
