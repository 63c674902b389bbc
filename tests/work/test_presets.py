"""Presets from the asking to the record."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from motionlift.bench.run_file import read_run
from motionlift.cli.main import run
from motionlift.core.model import Model
from motionlift.errors import SettingError
from motionlift.motion.file import Motion
from motionlift.work import prepare
from motionlift.work.cast import cast, transfer
from motionlift.work.lift import lift
from tests.methods.references import unet_twin
from tests.methods.test_methods import published
from tests.work.trials import PROMPT, QUICK, a_clip, refusal

PAPER = {"preset": "paper", "steps": 3, "inner": 1}


@pytest.mark.slow
def test_a_record_says_each_constant_with_its_source_and_what_was_changed(model: Model):
    record = transfer(a_clip(), PROMPT, model, settings=PAPER, cached=False).record
    assert record["settings"]["preset"] == "paper" and record["settings"]["lr"] == 0.002
    told = record["preset"]
    assert told["name"] == "paper" and told["constants"]["lr"] == "paper"
    assert told["changed"] == ["inner"]
    assert {"block", "cfg", "steps"} <= set(told["not_published"])
    ours = transfer(a_clip(), PROMPT, model, settings=QUICK, cached=False).record
    assert "preset" not in ours and ours["settings"]["preset"] == "ours"


@pytest.mark.slow
def test_a_motion_keeps_the_preset_that_it_was_lifted_with(model: Model, tmp_path: Path):
    lift(a_clip(), model, settings=PAPER, cached=False).save(tmp_path / "motion.safetensors")
    motion = Motion.load(tmp_path / "motion.safetensors")
    assert cast(motion, PROMPT, model).record["preset"]["name"] == "paper"
    assert "was lifted with 'paper'" in refusal(
        SettingError, lambda: cast(motion, PROMPT, model, settings={"preset": "ours"})
    )


@pytest.mark.slow
def test_a_motion_from_before_there_were_presets_is_of_ours(model: Model, motion: Motion):
    old = replace(motion, settings={name: value for name, value in motion.settings.items() if name != "preset"})
    assert cast(old, PROMPT, model).record["settings"]["preset"] == "ours"
    assert "was lifted with 'ours'" in refusal(
        SettingError, lambda: cast(old, PROMPT, model, settings={"preset": "paper"})
    )


def test_a_preset_that_a_method_lacks_is_refused_without_a_model():
    told = refusal(SettingError, lambda: prepare.ask("motionflow", {"preset": "released"}))
    assert "allowed is ours or paper" in told
    assert "allowed is ours or fast or paper or released" in refusal(
        SettingError, lambda: prepare.ask("ditflow", {"preset": "mine"})
    )


def test_size_and_length_of_a_preset_hold_where_none_are_given(model: Model):
    large: Any = published("cogvideox-5b")
    request = prepare.ask("ditflow", {"preset": "released", "negative_prompt": ""}, prompt=PROMPT)
    job = prepare.prepare(request, large)
    assert (job.shape.frames, job.shape.height, job.shape.width) == (24, 480, 720)
    assert not any("preset" in told for told in job.notices)
    job = prepare.prepare(request, large, frames=9, size=(32, 32))
    assert (job.shape.frames, job.shape.height, job.shape.width) == (9, 32, 32)
    job = prepare.prepare(request, model)
    assert job.shape == model.about.shape
    start = f"of {model.about.name} the preset released of ditflow has no block, "
    assert [told.startswith(start) for told in job.notices].count(True) == 1


@pytest.mark.parametrize("preset", ["paper", "released"])
def test_motionmatcher_runs_at_its_papers_size(preset: str):
    about = {"preset": preset, "source_prompt": PROMPT}
    zeroscope: Any = unet_twin("zeroscope_v2_576w")
    job = prepare.prepare(prepare.ask("motionmatcher", about, prompt=PROMPT), zeroscope)
    assert (job.shape.frames, job.shape.height, job.shape.width) == (16, 384, 384)


def test_presets_in_run_files_and_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "run.yaml"
    methods = "methods: [{name: ditflow, grid: {preset: [ours, paper]}}]"
    path.write_text(f"models: [tiny-dit]\n{methods}\nreferences: [world: {{count: 1}}]\noutput: out\n")
    assert [each.title for each in read_run(str(path)).methods] == ["ditflow preset=ours", "ditflow preset=paper"]
    clip = tmp_path / "clip.mp4"
    a_clip().save(clip)
    assert run(["transfer", str(clip), "--prompt", PROMPT, "--method", "motionflow", "--preset", "released"]) == 1
    assert "of motionflow no released program" in capsys.readouterr().err
    assert run(["lift", str(clip), "--preset", "mine"]) == 1
    assert "--preset is 'mine'; allowed is ours or fast or paper or released" in capsys.readouterr().err
