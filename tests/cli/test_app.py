"""What the command line takes."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from motionlift.cli.app import app
from motionlift.cli.main import run
from motionlift.models.sources import BUNDLED_MODELS
from motionlift.settings.vmc import CLEAN, FORMS, NOISE

HEAVY = ("torch", "diffusers", "transformers", "cv2", "av", "matplotlib", "numpy")


SHORT = {"--prompt": "-p", "--output": "-o", "--seed": "-s"}


def long_forms(command: Any) -> list[str]:
    """Options and arguments of a command, without the short forms."""
    return [word for own in command.params for word in sorted(own.opts) if word not in SHORT.values()]


def test_prompt_output_and_seed_have_short_forms_wherever_they_are():
    commands = typer.main.get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
    for command in (*commands.values(), *commands["plan"].commands.values()):
        for parameter in command.params:
            long, *short = sorted(parameter.opts)
            assert short == ([SHORT[long]] if long in SHORT else []), (command.name, parameter.opts)


@pytest.mark.slow
def test_each_help_ends_with_an_example_that_the_command_takes(capsys: pytest.CaptureFixture[str]):
    program = typer.main.get_command(app)
    plans = program.commands["plan"].commands  # pyright: ignore[reportAttributeAccessIssue]
    for path in (*[[name] for name in program.commands if name != "plan"], *[["plan", name] for name in plans]):  # pyright: ignore[reportAttributeAccessIssue]
        assert run([*path, "--help"]) == 0
        example = capsys.readouterr().out.rpartition("Example: ")[2]
        typed = shlex.split(example)
        assert typed[: 1 + len(path)] == ["motionlift", *path]
        command = (plans if path[0] == "plan" else program.commands)[path[-1]]  # pyright: ignore[reportAttributeAccessIssue]
        command.make_context(path[-1], typed[1 + len(path) :])


def completed(line: str) -> list[str]:
    """What the program proposes to bash behind a line."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    asked = {"_MOTIONLIFT_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    program = "import motionlift.cli.main as m; m.main()"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **asked})
    assert told.stderr == ""
    return told.stdout.split()


@pytest.mark.slow
def test_a_shell_completes_commands_models_methods_and_settings():
    assert completed("motionlift tr") == ["transfer"]
    assert completed("motionlift transfer --model tiny-") == list(BUNDLED_MODELS)
    assert completed("motionlift lift --method motionm") == ["motionmatcher"]
    assert completed("motionlift lift --method vmc --set fo") == [f"form={form}" for form in (*FORMS, CLEAN, NOISE)]
    assert completed("motionlift lift --set lr_") == ["lr_end="]
    assert completed("motionlift lift --set re") == ["read=", "reference="]
    assert completed("motionlift lift --method nothing --set form") == []
    assert completed("motionlift lift --method flowmotion --set read=") == ["read=prediction", "read=clean_latent"]
    assert completed("motionlift transfer --read f") == ["flow"]
    assert completed("motionlift transfer --sampler dpm") == ["dpm", "dpm-sde"]
    assert completed("motionlift export a b --for k") == ["kohya"]
    assert completed("motionlift bench q") == ["quick"]
    assert completed("motionlift again a.mp4 --method motionm") == ["motionmatcher"]
    assert completed("motionlift edit a.safetensors m") == ["mirror", "move="]


TYPED = {
    ("lift", "--method", "vmc", "--set", "fo"): [f"form={form}" for form in (*FORMS, CLEAN, NOISE)],
    ("lift", "--method", "vmc", "--set", "form", "="): [*FORMS, CLEAN, NOISE],
    ("lift", "--method", "vmc", "--set", "form", "=", "c"): ["cos", "clean"],
    ("lift", "--method", "vmc", "--set", "inversion", "=", ""): [],
    ("lift", "--set", "re"): ["read=", "reference="],
    ("lift", "--method", "=", "vmc", "--set", "form", "=", "l"): ["l2"],
    ("lift", "--method", "=", "vm"): ["vmc"],
    ("lift", "--set", "lr", "=", "0.1", "--method", "fl"): ["flowmotion"],
    ("transfer", "a", ":", "b.mp4", "--set", "optimizer", "=", "a"): ["adam"],
    ("edit", "a.safetensors", "mo"): ["move="],
}
"""Words as bash takes a line apart, and what replaces the last of them."""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_what_it_takes_for_several_words(tmp_path: Path):
    """With the script that the program itself gives, and a blank as it stands behind nothing that may go on."""
    program = tmp_path / "motionlift"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import motionlift.cli.main as m; m.main()' \"$@\"\n")
    program.chmod(0o755)
    asked = 'eval "$(_MOTIONLIFT_COMPLETE=source_bash motionlift)"\n'
    for words in TYPED:
        asked += f"COMP_WORDS=(motionlift {shlex.join(words)}); COMP_CWORD={len(words)}; COMPREPLY=()\n"
        asked += '_motionlift_completion motionlift; echo "${COMPREPLY[*]}"\n'
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    told = subprocess.run(
        ["bash", "--norc", "-c", asked], capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert told.stderr == ""
    assert dict(zip(TYPED, map(str.split, told.stdout.split("\n")), strict=False)) == TYPED


def test_completion_is_installed_by_the_programs_own_option():
    program = "import motionlift.cli.main as m; m.main()"
    words = [sys.executable, "-c", program, "--show-completion", "bash"]
    # typer looks for the shell that it was started from, and there may be none: with this it takes a name.
    named = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    told = subprocess.run(words, capture_output=True, text=True, env=named)
    assert told.returncode == 0
    assert "_MOTIONLIFT_COMPLETE=complete_bash" in told.stdout


def test_the_command_line_is_frozen():
    group = typer.main.get_command(app)
    taken = {
        name: long_forms(command)
        for name, command in group.commands.items()  # pyright: ignore[reportAttributeAccessIssue]
    }
    assert taken == {
        "transfer": [
            *("reference", "--prompt", "--prompts", "--method", "--preset", "--model", "--lora", "--output", "--seed"),
            *("--frames", "--size", "--picture", "--steps", "--sampler", "--read", "--reference"),
            *("--source-prompt", "--negative-prompt", "--pair", "--strength", "--cut-prompt", "--set"),
            *(
                "--run",
                "--previews",
                "--device",
                "--dtype",
                "--fps",
                "--memory",
                "--weights",
                "--compile",
                "--parallel",
                "--slower",
                *("--start", "--duration", "--fit", "--crop", "--background"),
                "--every-frame",
                "--interpolate",
            ),
            *("--between", "--upscale", "--side-by-side", "--keep-sound", "--overwrite", "--quiet", "--json"),
        ],
        "lift": [
            *("reference", "--output", "--method", "--preset", "--model", "--lora", "--frames", "--size"),
            *("--steps", "--read", "--reference", "--source-prompt", "--subject", "--cut-prompt", "--set"),
            *(
                "--run",
                "--previews",
                "--fps",
                "--slower",
                *("--start", "--duration", "--fit", "--crop", "--background"),
                "--every-frame",
                "--device",
                "--dtype",
                "--memory",
                "--weights",
                "--overwrite",
                "--quiet",
                "--json",
            ),
        ],
        "cast": [
            *("motion", "--prompt", "--prompts", "--model", "--lora", "--output", "--seed", "--picture", "--steps"),
            *("--sampler", "--target", "--negative-prompt", "--strength", "--mix", "--interpolate"),
            *(
                "--between",
                "--upscale",
                "--cut-prompt",
                "--set",
                "--device",
                "--dtype",
                "--memory",
                "--weights",
                "--compile",
                "--parallel",
                "--keep-motion",
                "--overwrite",
                "--quiet",
                "--json",
            ),
        ],
        "again": ["words"],
        "batch": [
            *("jobs", "--output", "--workers", "--dry-run", "--retry", "--watch", "--store", "--ray"),
            *("--device", "--dtype", "--memory", "--weights", "--overwrite", "--quiet"),
        ],
        "edit": ["motion", "edits", "--output", "--overwrite"],
        "export": ["motion", "output", "--for", "--rank", "--overwrite"],
        "adapter": ["file"],
        "inspect": [
            *("reference", "--output", "--method", "--preset", "--model", "--lora", "--frames", "--size"),
            *("--read", "--reference", "--source-prompt", "--subject", "--cut-prompt", "--set", "--fps"),
            *(
                "--start",
                "--duration",
                "--fit",
                "--crop",
                "--background",
                "--every-frame",
                "--device",
                "--dtype",
                "--overwrite",
                "--quiet",
            ),
        ],
        "score": [
            *("reference", "generated", "--prompt", "--truth", "--metrics", "--tracker", "--tracker-weights"),
            *("--clip-model", "--legacy", "--from-start", "--start", "--duration", "--fit", "--crop", "--background"),
            *("--fps", "--quiet", "--json"),
        ],
        "world": ["folder", "--count", "--seed", "--frames", "--size", "--things", "--overwrite", "--quiet"],
        "bench": ["run", "--jobs", "--output", "--ray", "--device", "--memory", "--again", "--quiet"],
        "report": ["records", "--output", "--overwrite"],
        "protocol": ["name", "folder", "--prompts", "--frames"],
        "models": ["--json"],
        "methods": ["--json"],
        "cache": ["--clear"],
        "app": ["--host", "--port", "--share", "--password", "--data", "--device", "--weights"],
        "demo": ["--output", "--overwrite", "--quiet"],
        "plan": [],
    }
    planned = group.commands["plan"].commands  # pyright: ignore[reportAttributeAccessIssue]
    for name, command in planned.items():
        assert long_forms(command) == taken[name]
    assert list(planned) == ["transfer", "lift", "cast"]


def test_nothing_heavy_is_imported_before_a_command_needs_it():
    program = f"import sys, motionlift.cli.main, motionlift.cli.app; print(sorted({{*{HEAVY}}} & {{*sys.modules}}))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_lists_every_command_in_order(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert run(arguments) == 0
    told = capsys.readouterr().out
    order = (
        "transfer",
        "lift",
        "cast",
        "again",
        "batch",
        "edit",
        "export",
        "inspect",
        "score",
        "world",
        "bench",
        "report",
    )
    order += ("models", "methods", "cache", "app", "demo")
    places = [told.index(f"│ {name} ") for name in order]
    assert places == sorted(places)


def test_version(capsys: pytest.CaptureFixture[str]):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("motionlift 0.")
