"""What the command line takes."""

import subprocess
import sys

import pytest
import typer.main

from motionlift.cli.app import app
from motionlift.cli.main import run

HEAVY = ("torch", "diffusers", "transformers", "cv2", "av", "matplotlib", "numpy")


def test_the_command_line_is_frozen():
    group = typer.main.get_command(app)
    taken = {
        name: [word for parameter in command.params for word in sorted(parameter.opts)]
        for name, command in group.commands.items()  # pyright: ignore[reportAttributeAccessIssue]
    }
    assert taken == {
        "transfer": [
            *("reference", "--prompt", "--method", "--preset", "--model", "--lora", "--output", "--seed"),
            *("--frames", "--size", "--picture", "--steps", "--sampler", "--read", "--reference"),
            *("--source-prompt", "--negative-prompt", "--pair", "--strength", "--cut-prompt", "--set"),
            *(
                "--run",
                "--previews",
                "--device",
                "--dtype",
                "--fps",
                "--memory",
                "--slower",
                "--fit",
                "--every-frame",
                "--interpolate",
            ),
            *("--between", "--upscale", "--side-by-side", "--quiet", "--json"),
        ],
        "lift": [
            *("reference", "--output", "--method", "--preset", "--model", "--lora", "--frames", "--size"),
            *("--steps", "--read", "--reference", "--source-prompt", "--subject", "--cut-prompt", "--set"),
            *(
                "--run",
                "--previews",
                "--fps",
                "--slower",
                "--fit",
                "--every-frame",
                "--device",
                "--dtype",
                "--memory",
                "--quiet",
                "--json",
            ),
        ],
        "cast": [
            *("motion", "--prompt", "--model", "--lora", "--output", "--seed", "--picture", "--steps"),
            *("--sampler", "--target", "--negative-prompt", "--strength", "--mix", "--interpolate"),
            *(
                "--between",
                "--upscale",
                "--cut-prompt",
                "--set",
                "--device",
                "--dtype",
                "--memory",
                "--keep-motion",
                "--quiet",
                "--json",
            ),
        ],
        "export": ["motion", "output", "--for", "--rank"],
        "inspect": [
            *("reference", "--output", "--method", "--preset", "--model", "--lora", "--frames", "--size"),
            *("--read", "--reference", "--source-prompt", "--subject", "--cut-prompt", "--set", "--fit"),
            *("--every-frame", "--device", "--dtype", "--quiet"),
        ],
        "score": [
            *("reference", "generated", "--prompt", "--truth", "--metrics", "--tracker", "--tracker-weights"),
            *("--clip-model", "--legacy", "--from-start", "--quiet", "--json"),
        ],
        "world": ["folder", "--count", "--seed", "--frames", "--size", "--things", "--quiet"],
        "bench": ["run", "--jobs", "--output", "--again", "--quiet"],
        "report": ["records", "--output"],
        "protocol": ["name", "folder", "--prompts", "--frames"],
        "models": [],
        "methods": ["--json"],
        "cache": ["--clear"],
        "demo": ["--output", "--quiet"],
        "plan": [],
    }
    planned = group.commands["plan"].commands  # pyright: ignore[reportAttributeAccessIssue]
    for name, command in planned.items():
        assert [word for parameter in command.params for word in sorted(parameter.opts)] == taken[name]
    assert list(planned) == ["transfer", "lift", "cast"]


def test_nothing_heavy_is_imported_before_a_command_needs_it():
    program = f"import sys, motionlift.cli.main, motionlift.cli.app; print(sorted({{*{HEAVY}}} & {{*sys.modules}}))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_lists_every_command_in_order(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert run(arguments) == 0
    told = capsys.readouterr().out
    order = ("transfer", "lift", "cast", "export", "inspect", "score", "world", "bench", "report")
    order += ("models", "methods", "cache", "demo")
    places = [told.index(f"│ {name} ") for name in order]
    assert places == sorted(places)


def test_version(capsys: pytest.CaptureFixture[str]):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("motionlift 0.")
