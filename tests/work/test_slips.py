"""Slips in calls from Python: each is told in a line of our own errors, whatever came.

They run in a Python of its own, in which annotations are not checked, as they are not for users.
"""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # one program runs for all

PROGRAM = """
import json
import numpy as np
import torch
import motionlift as ml

model = ml.load("tiny-dit", "cpu")
clip = ml.Clip.of(np.random.default_rng(0).random((5, 32, 32, 3)), 8)
motion = ml.lift(clip, model, "none", settings={"steps": 1}, cached=False)
own = {"method": "none", "settings": {"steps": 1}, "cached": False}
found = {}


def tried(name, call):
    try:
        call()
    except ml.MotionliftError as error:
        found[name] = [type(error).__name__, str(error)]
    except Exception as error:
        found[name] = ["raw " + type(error).__name__, str(error)]
    else:
        found[name] = ["nothing", ""]


def tries(name, call, values, **fixed):
    for value in values:
        tried(f"{name}: {value!r}", lambda value=value: call(value))


WRONG = [5, "x", [1], 1.5, np.array([1.5, 2.5])]
for name in ["settings", "generator", "callback_on_step_end", "advance"]:
    tries(f"cast {name}", lambda value, name=name: ml.cast(motion, "a star", model, **{name: value}), WRONG)
    tries(f"transfer {name}", lambda value, name=name: ml.transfer(clip, "a star", model, **{**own, name: value}), WRONG)
for name, values in {
    "stages": [5, None, [5]], "mixed": [5, None, np.array([1, 2])],
    "picture": [5, [1], 1.5], "memory": [[], 1.5, "x"], "seeds": [5, 1.5, "12"],
    "seed": [1.5, "3", None, True], "negative_prompt": [5, [1]], "cut_prompt": ["x", None],
    "callback_on_step_end_tensor_inputs": [["prompt_embeds"], 5, "latents", None],
}.items():
    tries(f"cast {name}", lambda value, name=name: ml.cast(motion, "a star", model, **{name: value}), values)
for name, values in {
    "fps": ["8", [1]], "size": [5, [64], np.array([1.5, 2.5])], "frames": ["5", 1.5], "slower": ["x", None],
    "previews": [None, "x"],
    "method": [5, None], "fit": [5, np.array([1, 2])], "every_frame": ["x"], "cached": ["no"],
    "folder": [5], "settings": [5, {5: 1}],
    "advance": [5],
}.items():
    tries(f"lift {name}", lambda value, name=name: ml.lift(np.zeros((5, 32, 32, 3)), model, **{**own, name: value}), values)
tried("generator of numpy", lambda: ml.cast(motion, "a star", model, generator=np.random.default_rng(0)))
tried("generators of numpy", lambda: ml.cast(motion, "a star", model, generator=[np.random.default_rng(0)]))
for given in [5, None, "m.safetensors", [1]]:
    tried(f"cast {given!r}", lambda given=given: ml.cast(given, "a star", model))
    tried(f"edit {given!r}", lambda given=given: ml.edit(given, "mirror"))
    tried(f"edit by {given!r}", lambda given=given: ml.edit(motion, given))
    tried(f"export {given!r}", lambda given=given: ml.export_adapter(given, "lora.safetensors"))
    tried(f"export for {given!r}", lambda given=given: ml.export_adapter(motion, "lora.safetensors", given))
for given in [5, None, [5], [None]]:
    tried(f"generator {given!r}", lambda given=given: ml.cast(motion, "a star", model, generator=given or [None]))
    tried(f"prompt {given!r}", lambda given=given: ml.transfer(clip, given, model, **own))
    tried(f"score of {given!r}", lambda given=given: ml.score(given, clip))
    tried(f"score {given!r}", lambda given=given: ml.score(clip, given))
    tried(f"export to {given!r}", lambda given=given: ml.export_adapter(motion, given))
for name, values in {
    "metrics": [5, "ssim", [1]],
    "tracker": [5, None], "truth": [5], "advance": [5, None], "legacy": ["x"], "fit": [5], "prompt": [5],
    "from_start": ["x"], "tracker_weights": [5], "clip_model": [5], "fps": ["8"],
}.items():
    tries(f"score {name}", lambda value, name=name: ml.score(clip, clip, **{"metrics": ["ssim"], name: value}), values)
for name, values in {
    "device": [5, None, [1]],
    "loras": [5, None], "dtype": [5, None], "measures": [5, "x"], "compiled": ["x"], "parallel": ["2", 1.5],
}.items():
    tries(f"load {name}", lambda value, name=name: ml.load("tiny-dit", **{name: value}), values)
taken = {}
last = ml.transfer(
    np.zeros((9, 32, 32, 3)), "a star", model, **own, seeds=np.array([5, 6]), frames=np.int32(model.about.shape.frames),
    size=np.array([model.about.shape.width, model.about.shape.height]), slower=np.int64(1), fps=np.float32(8),
    memory=np.int64(4 * 10**9),
)
taken["seeds"] = [video.record["seed"] for video in last]
taken["json"] = bool(json.dumps([video.record for video in last]))
taken["seed"] = ml.cast(motion, "a star", model, seed=np.int64(3)).record["seed"]
told = []
ml.cast(motion, "a star", model, callback_on_step_end=lambda *given: told.append(sorted(given[3])) or {})
ml.cast(
    motion, "a star", model, callback_on_step_end=lambda *given: told.append(sorted(given[3])) or {},
    callback_on_step_end_tensor_inputs=[],
)
taken["inputs"] = told
print(json.dumps({"found": found, "taken": taken}))
"""


@pytest.fixture(scope="module")
def ran() -> dict[str, dict]:
    """What became of every slip, and of what is taken."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_every_slip_is_told_in_a_line(ran: dict[str, dict]):
    found = ran["found"]
    assert len(found) > 100
    raw = {name: told for name, told in found.items() if told[0] == "nothing" or told[0].startswith("raw")}
    assert raw == {}
    assert all(message.isprintable() and 20 < len(message) < 700 for _, message in found.values())


def test_it_is_said_what_came_and_what_to_do(ran: dict[str, dict]):
    found = {name: message for name, (_, message) in ran["found"].items()}
    assert "'m.safetensors'" in found["cast 'm.safetensors'"] and "Motion.load(path)" in found["cast 'm.safetensors'"]
    assert found["prompt None"].startswith("the prompt is None; give text")
    assert "torch.Generator().manual_seed(3)" in found["generator of numpy"]
    assert found["cast seeds: 5"].startswith("seeds is 5; give a list of whole numbers")
    assert found["lift fps: '8'"] == "fps is '8'; give a number from 0.1 to 240"
    assert "prompt_embeds" in found["cast callback_on_step_end_tensor_inputs: ['prompt_embeds']"]


def test_whole_numbers_of_numpy_are_taken(ran: dict[str, dict]):
    assert ran["taken"]["seeds"] == [5, 6] and ran["taken"]["seed"] == 3 and ran["taken"]["json"]


def test_the_callback_gets_the_inputs_that_are_asked_for(ran: dict[str, dict]):
    with_latents, without = {tuple(each) for each in ran["taken"]["inputs"]}, ()
    assert with_latents == {("latents",), without}
