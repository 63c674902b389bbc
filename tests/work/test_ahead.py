"""Plans from Python."""

import gc
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import motionlift as ml
from motionlift.cli.app import app
from motionlift.errors import InputError, MemoryShortError, ModelError
from motionlift.models import loading
from motionlift.work.ahead import plan
from tests.twins import cogvideox
from tests.work.trials import a_clip, refusal

PROMPT = "a yellow fish in the sea"


@pytest.mark.slow
def test_it_is_the_plan_of_the_command_and_reads_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "clip.mp4"
    a_clip(frames=17, height=64, width=64).save(file)
    command = [
        "plan",
        "transfer",
        str(file),
        "--prompt",
        PROMPT,
        "--model",
        "tiny-wan",
        "--memory",
        "2GB",
        "--device",
        "cpu",
        "--json",
    ]
    gc.collect()  # what others left would be counted in one and not in the other
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    monkeypatch.setattr(loading, "_read", lambda *_: pytest.fail("weights are read"))
    gc.collect()
    own = plan(file, PROMPT, "tiny-wan", memory="2GB", device="cpu")
    assert isinstance(own, ml.Plan)
    # The first plan of a process may count some thousand bytes of what libraries keep.
    assert own.record()["predicted_bytes"] == pytest.approx(told["predicted_bytes"], rel=0.01)
    assert (own.tokens, own.passes.forward, own.passes.backward) == (
        told["tokens"],
        told["passes"]["forward"],
        told["passes"]["backward"],
    )


@pytest.mark.slow
def test_without_a_prompt_it_is_the_plan_of_lifting():
    names = [phase.name for phase in plan(a_clip(), None, "tiny-wan", memory="2GB", device="cpu").phases]
    assert "encode" in names and "sample" not in names and "decode" not in names


@pytest.mark.slow
def test_a_loaded_model_is_planned_as_it_is():
    model = ml.load(cogvideox(), "cpu")
    own = plan(a_clip(), "a red star", model, frames=9)
    assert own.shape.frames == 9 and own.model == model.about.identity and not own.taken


@pytest.mark.slow
def test_what_cannot_be_planned_is_refused(tmp_path: Path):
    assert "phase" in refusal(MemoryShortError, lambda: plan(a_clip(), PROMPT, "tiny-wan", memory="1MB", device="cpu"))
    refusal(InputError, lambda: plan(tmp_path / "none.mp4", PROMPT, "tiny-wan"))
    refusal(ModelError, lambda: plan(a_clip(), PROMPT, "no-such-model/"))
