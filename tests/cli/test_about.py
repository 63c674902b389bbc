"""What there is, told by the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import motionlift.demo
from motionlift.cli.main import run
from motionlift.methods import methods


@pytest.mark.slow
def test_methods_and_models_are_listed(capsys: pytest.CaptureFixture[str]):
    assert run(["methods", "--json"]) == 0
    listed = {method["name"]: method for method in json.loads(capsys.readouterr().out)}
    assert listed.keys() == methods().keys()
    temperature = listed["ditflow"]["settings"]["temperature"]
    assert (temperature["default"], temperature["allowed"]) == (2.0, "a number from 0.001 to 1000")
    released = listed["ditflow"]["presets"]["released"]
    assert released["constants"]["lr"] == {"value": 0.002, "source": "released, configs/guidance_config.yaml"}
    assert released["models"]["cogvideox-5b"]["block"]["value"] == [20] and released["lacks"]
    assert run(["methods"]) == 0
    told = capsys.readouterr().out
    assert "ditflow: --preset released" in told and "motionflow: --preset released" not in told
    assert all(f"{name}: {method['summary']}" in told for name, method in listed.items())
    matrix = told.split("settings of every method")[0]
    assert "cogvideox" in matrix and "unet3d" in matrix
    assert all(name in matrix for name in listed), "every method has a row"
    assert "no: target is" in matrix, "a pair that cannot work says why"
    assert run(["models"]) == 0
    told = capsys.readouterr().out
    assert "tiny-dit" in told
    assert "CogVideoXPipeline" in told and "licence of the published weights: Apache-2.0 (2B)" in told


@pytest.mark.slow
def test_models_as_json_say_what_a_program_needs(capsys: pytest.CaptureFixture[str]):
    assert run(["models", "--json"]) == 0
    listed = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    own = listed["tiny-dit"]
    assert own["bundled"] and (own["width"], own["height"], own["frames"], own["fps"]) == (64, 64, 17, 8.0)
    assert own["licence"] == "Apache-2.0" and 10**7 < own["memory_bytes"] < 10**9 and "star" in own["words"]
    wan = listed["wan"]
    assert not wan["bundled"] and (wan["width"], wan["height"], wan["frames"], wan["fps"]) == (832, 480, 81, 16.0)
    assert "WanPipeline" in wan["pipelines"] and {own["model"] for own in wan["memory"]} >= {
        "wan-2.1-1.3b",
        "wan-2.1-14b",
    }
    assert 8 * 2**30 < wan["memory_bytes"] < 9 * 2**30, "of the 1.3B model, as the page of families has it"
    assert listed["mochi"]["memory_bytes"] is None, "its network could not be counted"
    assert all(model["licence"] for model in listed.values()), "every family says it"


def test_demo_makes_its_page_in_the_folder(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def page(folder: Path, advance: Callable[[str, float], None], overwrite: bool, tell: Callable[[str], None]) -> Path:
        assert not overwrite
        advance("making it", 0.5)
        tell("prompt 2 of 3: wrote it")
        return folder / "index.html"

    monkeypatch.setattr(motionlift.demo, "make_demo", page)
    assert run(["demo", "--output", "shown"]) == 0
    told = capsys.readouterr()
    assert told.out == "wrote shown/index.html\n"
    assert told.err.splitlines() == ["phase: making it", "prompt 2 of 3: wrote it"]
