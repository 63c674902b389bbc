"""Every command with values that nobody would type: an exit code, at most one line of an error, and never a traceback."""

import os
import random
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer.main

from motionlift.cli.app import app
from motionlift.cli.main import run
from tests.cli.calls import without_phases

VALUES = (
    *(
        "",
        "x",
        "-1",
        "0",
        "-0",
        "0x10",
        "1e999",
        "nan",
        "1_0",
        "9" * 400,
        "a\0b",
        "\udcff",
        "é" * 300,
        "\n",
        "\x1b[31m",
    ),
    *(
        "=",
        "a=b",
        "=b",
        "-",
        "--",
        "~",
        "..",
        "/",
        "%s",
        "{",
        "[1]",
        "true",
        "\u0661",
        "nowhere/x",
        "/dev/zero",
        "/dev/full",
    ),
    *("folder", "loop", "fifo", "socket", "empty", "text", "clip.mp4", "line.safetensors"),
)
EACH = 8
"""Values that each option is tried with (ours: the whole trial takes about a minute)."""
WORK = ("clip.mp4", "--model", "twin", "--method", "none", "--steps", "1")
COMMANDS = {
    "transfer": (*WORK, "--prompt", "a star", "--overwrite"),
    "lift": (*WORK, "--overwrite"),
    "cast": (
        *("line.safetensors", "--model", "twin", "--prompt", "a star", "--steps", "1", "--set", "inner=0"),
        "--overwrite",
    ),
    "again": ("clip.mp4",),
    "edit": ("line.safetensors", "mirror", "--overwrite"),
    "export": ("line.safetensors", "adapter.safetensors", "--overwrite"),
    "adapter": ("line.safetensors",),
    "inspect": ("clip.mp4", "--model", "twin", "--overwrite"),
    "score": ("clip.mp4", "clip.mp4", "--metrics", "motion_fidelity"),
    "world": ("made", "--count", "1", "--frames", "2", "--size", "16", "--overwrite"),
    "bench": ("text",),
    "report": ("text", "--overwrite"),
    "cache": (),
    "demo": (),
}
"""A command line of each that takes options or arguments and works, as far as one can; it stands for what else is typed."""
SPARED = {"demo": ("--output",), "score": ("--tracker-weights", "--clip-model")}
"""Options whose values begin work of minutes."""


@pytest.fixture(autouse=True)
def _surroundings(clips: Path, model: str, motion: Path) -> None:
    Path("clip.mp4").write_bytes((clips / "one.mp4").read_bytes())
    Path("line.safetensors").write_bytes(motion.read_bytes())
    Path("twin").symlink_to(model)
    Path("folder").mkdir()
    Path("loop").symlink_to("loop")
    os.mkfifo("fifo")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("socket")
    Path("empty").touch()
    Path("text").write_text("a: b\n")


def command_lines(command: str) -> list[list[str]]:
    """The command with each option and each argument as something else, by turns."""
    usual, chosen = COMMANDS[command], random.Random(command)
    parameters = typer.main.get_command(app).commands[command].params  # pyright: ignore
    options = [option for each in parameters for option in each.opts if option.startswith("--")]
    flags = {option for each in parameters if getattr(each, "is_flag", False) for option in each.opts}
    lines = []
    for option in sorted({*options} - flags - {*SPARED.get(command, ())}):
        place = usual.index(option) if option in usual else len(usual)
        for value in chosen.sample(VALUES, EACH):
            lines.append([command, *usual[:place], option, value, *usual[place + 2 :]])
    arguments = [word for word in usual[:2] if "." in word or word in ("made", "text")] if command != "demo" else []
    for place in range(len(arguments)):
        for value in chosen.sample(VALUES, EACH):
            lines.append([command, *usual[:place], value, *usual[place + 1 :]])
    return lines or [[command, "x"], [command, "--clear", "x"]]


def wrong(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str | None:
    """What is wrong with how a command line ended, if something is."""
    capsys.readouterr()
    try:
        code = run(arguments)
    except Exception as error:  # so that one does not hide the others
        return f"{type(error).__name__}: {error}"
    told = without_phases(capsys.readouterr().err)
    errors = [line for line in told.splitlines() if not line.startswith("note: ")]
    if code not in (0, 1, 2):
        return f"it left with {code}"
    if "Traceback" in told or "a file that was needed" in told:
        return told
    expected = 0 if code == 0 else 1
    return None if len(errors) == expected and all(line.startswith("error: ") for line in errors) else told


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_whatever_is_typed_ends_in_one_line(command: str, capsys: pytest.CaptureFixture[str]):
    found = {tuple(line): wrong(line, capsys) for line in command_lines(command)}
    assert found
    assert {line: said for line, said in found.items() if said is not None} == {}
