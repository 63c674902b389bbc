"""``--prompts FILE``: a video for each line."""

import io
import json
import os
import shutil
import time
from pathlib import Path
from threading import Thread

import pytest

from motionlift.cli import prompts
from motionlift.cli.main import run
from motionlift.cli.prompts import MOST_TOLD, numbered, one_of_several, read_prompts
from motionlift.errors import InputError
from tests.cli.calls import refused


def test_a_line_is_a_prompt(tmp_path: Path):
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffa red star\r\n\n   a caf\u00e9  \n".encode())
    assert read_prompts(path) == ["a red star", "a caf\u00e9"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty; give a text file"),
        (b"\n \n", "holds 0 prompts"),
        (b"a\n" * 1001, "holds 1001 prompts; allowed are 1 to 1000"),
        (b"a red \xff star\n", "it is no text in UTF-8"),
        ("a red star\n".encode("utf-16-le"), "it is no text in UTF-8"),
        (b"\xff\xfea", "it is no text in UTF-8"),
        (b"a\n" + b"b" * 10_001, r"line 2 of .*: the prompt has 10001 characters"),
    ],
)
def test_what_is_no_file_of_prompts_is_refused(content: bytes, words: str, tmp_path: Path):
    (tmp_path / "prompts.txt").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_prompts(tmp_path / "prompts.txt")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_prompt_ends_where_lines_of_files_do_and_powershell_may_write_it(encoding: str, tmp_path: Path):
    text = "a red star\u2028on the sea\r\na blue\x85ring\ra green\x0bcross\x0c\n"
    (tmp_path / "prompts.txt").write_bytes(text.encode(encoding))
    assert read_prompts(tmp_path / "prompts.txt") == ["a red star on the sea", "a blue ring", "a green cross"]


def test_no_device_is_read_and_no_pipe_waited_for_to_which_nobody_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(
        InputError, match="/dev/zero is not a regular file; give a text file with a prompt in each line"
    ):
        read_prompts(Path("/dev/zero"))
    with pytest.raises(InputError, match="pipe holds 0 prompts"):
        read_prompts(Path("pipe"))


def test_prompts_come_from_a_command_of_the_shell_and_from_standard_input(monkeypatch: pytest.MonkeyPatch):
    reading, writing = os.pipe()
    late = Thread(target=lambda: (time.sleep(0.2), os.write(writing, b"a red star\na ring\n"), os.close(writing)))
    late.start()
    assert read_prompts(Path(f"/dev/fd/{reading}")) == ["a red star", "a ring"]
    late.join()
    os.close(reading)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a red star\n")))
    assert read_prompts(Path("-")) == ["a red star"]
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="there is no standard input to read prompts from"):
        read_prompts(Path("-"))


def test_a_record_says_the_command_of_its_own_video():
    words = ("motionlift", "cast", "m.safetensors", "--prompts", "p.txt", "-o", "a.mp4", "--seed", "3")
    told = ("motionlift", "cast", "--prompt=a star", "m.safetensors", "-o", "a.mp4", "--seed", "3", "--output=a-1.mp4")
    assert one_of_several(words, "a star", {"--output": Path("a-1.mp4")}) == told
    assert one_of_several(("motionlift", "cast", "--prompts=p.txt"), "a", {"--output": Path("b")}) == (
        *("motionlift", "cast", "--prompt=a", "--output=b"),
    )
    of_a_dash = ("motionlift", "cast", "--prompts=p.txt", "--", "-m.safetensors")
    assert one_of_several(of_a_dash, "a", {"--output": Path("b"), "--keep-motion": Path("k")}) == (
        *("motionlift", "cast", "--prompt=a", "--output=b", "--keep-motion=k", "--", "-m.safetensors"),
    )
    assert [str(numbered(Path("x/a.mp4"), number, 12)) for number in (1, 12)] == ["x/a-01.mp4", "x/a-12.mp4"]


def test_one_of_the_two_options_is_given(clips: Path, capsys: pytest.CaptureFixture[str]):
    clip = str(clips / "one.mp4")
    assert "Missing option '--prompt', or --prompts" in refused(capsys, 2, "transfer", clip)
    both = refused(capsys, 1, "transfer", clip, "--prompts", "p.txt", "-p", "a")
    assert "--prompt and --prompts are both given" in both
    assert "p.txt does not exist" in refused(capsys, 1, "transfer", clip, "--prompts", "p.txt")


@pytest.mark.slow
def test_a_video_is_made_for_each_with_one_model(
    clips: Path, model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    from motionlift.work import planning

    loaded = []
    load = planning.load
    monkeypatch.setattr(planning, "load", lambda *given, **named: loaded.append(1) or load(*given, **named))
    Path("prompts.txt").write_text("a red star\na blue ring\n")
    start = ["transfer", str(clips / "one.mp4"), "--prompts", "prompts.txt", "--model", model, "--method", "none"]
    assert run([*start, "--steps", "2", "-o", "video.mp4"]) == 0
    assert len(loaded) == 1
    told = capsys.readouterr()
    assert "note: prompt 2 of 2: a blue ring" in told.err and "wrote video-2.mp4 and video-2.json" in told.out
    records = [json.loads(Path(f"video-{number}.json").read_text()) for number in (1, 2)]
    assert [record["prompt"] for record in records] == ["a red star", "a blue ring"]
    assert "--prompt=a blue ring" in records[1]["command"] and "--prompts" not in records[1]["command"]
    assert "video-1.mp4" in refused(capsys, 1, *start, "--steps", "2", "-o", "video.mp4")


def test_what_later_prompts_ask_in_vain_is_told_before_the_first_is_made(
    clips: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("motionlift.cli.early.foretell", lambda *_: pytest.fail("told in time"))
    good, strange = "a red star on a blue plain background", "a knight on a horse"
    Path("prompts.txt").write_text("\n".join([strange, good, *[strange] * (MOST_TOLD + 2)]))
    with pytest.raises(pytest.fail.Exception, match="told in time"):
        run(["transfer", str(clips / "one.mp4"), "--prompts", "prompts.txt", "-o", "video.mp4"])
    lines = [line for line in capsys.readouterr().err.splitlines() if "cannot paint" in line]
    assert [line.partition(": ")[2][:15] for line in lines] == [f"prompt {number} of 7: "[:15] for number in (3, 4, 5)]
    assert prompts._of_later_ones("tiny-dit", [good, *[strange] * 5])[-1] == "2 more prompts are like these"
    assert prompts._of_later_ones("a/model", [good, strange]) == []


@pytest.mark.slow
def test_each_video_keeps_its_own_motion(motion: Path, model: str, capsys: pytest.CaptureFixture[str]):
    shutil.copy(motion, "m.safetensors")
    Path("prompts.txt").write_text("a red star\na blue ring\n")
    start = ["cast", "m.safetensors", "--prompts", "prompts.txt", "--model", model, "--steps", "2"]
    assert run([*start, "-o", "v.mp4", "--keep-motion", "k.safetensors", "--overwrite"]) == 0
    records = [json.loads(Path(f"v-{number}.json").read_text()) for number in (1, 2)]
    assert [record["kept_motion"] for record in records] == ["k-1.safetensors", "k-2.safetensors"]
    assert all(Path(record["kept_motion"]).is_file() for record in records) and not Path("k.safetensors").exists()
    assert [record["command"][-1] for record in records] == [
        "--keep-motion=k-1.safetensors",
        "--keep-motion=k-2.safetensors",
    ]
    Path("k-1.safetensors").unlink()
    again = refused(capsys, 1, *start, "-o", "w.mp4", "--keep-motion", "k.safetensors")
    assert "cannot write k-2.safetensors: it is there already" in again, "before the first is made"
    shutil.copy(motion, "m-2.safetensors")
    itself = ["cast", "m-2.safetensors", *start[2:], "-o", "w.mp4", "--keep-motion", "m.safetensors", "--overwrite"]
    assert "cannot write m-2.safetensors: it is the motion itself" in refused(capsys, 1, *itself)


def test_a_place_without_a_name_gets_no_number(clips: Path, capsys: pytest.CaptureFixture[str]):
    Path("prompts.txt").write_text("a red star\n")
    for place in (".", ".."):
        told = refused(capsys, 1, "transfer", str(clips / "one.mp4"), "--prompts", "prompts.txt", "-o", place)
        assert "that names no file; give the name of one" in told


def test_what_is_shown_beside_each_is_looked_for_first(clips: Path, model: str, capsys: pytest.CaptureFixture[str]):
    Path("prompts.txt").write_text("a red star\na blue ring\n")
    Path("v-2-side-by-side.mp4").write_text("mine")
    start = ["transfer", str(clips / "one.mp4"), "--prompts", "prompts.txt", "--model", model, "--method", "none"]
    told = refused(capsys, 1, *start, "--steps", "2", "-o", "v.mp4", "--side-by-side")
    assert "cannot write v-2-side-by-side.mp4" in told


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (" ".join(["star"] * 1600), "prompt 3 of 3: the prompt has"),
        ("a blue ring", "prompt 3 of 3: star is not in the prompt 'a blue ring'"),
    ],
    ids=["too long", "without the word"],
)
def test_a_later_prompt_that_cannot_be_made_is_refused_before_the_first_is(
    later: str, words: str, clips: Path, model: str, capsys: pytest.CaptureFixture[str]
):
    Path("prompts.txt").write_text(f"a red star\na green star\n{later}\n")
    start = ["transfer", str(clips / "one.mp4"), "--prompts", "prompts.txt", "--model", model, "--method", "motionflow"]
    pair = ["--source-prompt", "a blue ring on the field", "--pair", "ring=star"]
    assert run([*start, *pair, "--steps", "2", "-o", "v.mp4"]) == 1
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert not list(Path().glob("v-*"))


def test_of_a_long_prompt_is_shown_what_a_line_of_the_terminal_holds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert prompts._on_one_line("a red star", 20) == "a red star"
    assert prompts._on_one_line("a red star " * 9, 12) == ("a red star " * 9)[:45] + "..."
    assert len(prompts._on_one_line("star " * 99, 58)) == prompts.LEAST_SHOWN
