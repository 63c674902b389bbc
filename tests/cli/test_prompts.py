"""``--prompts FILE``: a video for each line."""

import json
from pathlib import Path

import pytest

from motionlift.cli.main import run
from motionlift.cli.prompts import numbered, one_of_several, read_prompts
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
        (b"a\n" + b"b" * 10_001, r"line 2 of .*: the prompt has 10001 characters"),
    ],
)
def test_what_is_no_file_of_prompts_is_refused(content: bytes, words: str, tmp_path: Path):
    (tmp_path / "prompts.txt").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_prompts(tmp_path / "prompts.txt")


def test_a_record_says_the_command_of_its_own_video():
    words = ("motionlift", "cast", "m.safetensors", "--prompts", "p.txt", "-o", "a.mp4", "--seed", "3")
    told = ("motionlift", "cast", "--prompt=a star", "m.safetensors", "-o", "a.mp4", "--seed", "3", "--output=a-1.mp4")
    assert one_of_several(words, "a star", Path("a-1.mp4")) == told
    assert one_of_several(("motionlift", "cast", "--prompts=p.txt"), "a", Path("b")) == (
        *("motionlift", "cast", "--prompt=a", "--output=b"),
    )
    assert [str(numbered(Path("x/a.mp4"), number, 12)) for number in (1, 12)] == ["x/a-01.mp4", "x/a-12.mp4"]


def test_one_of_the_two_options_is_given(clips: Path, capsys: pytest.CaptureFixture[str]):
    clip = str(clips / "one.mp4")
    assert "Missing option '--prompt', or --prompts" in refused(capsys, 2, "transfer", clip)
    both = refused(capsys, 1, "transfer", clip, "--prompts", "p.txt", "-p", "a")
    assert "--prompt and --prompts are both given" in both
    assert "p.txt does not exist" in refused(capsys, 1, "transfer", clip, "--prompts", "p.txt")


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
