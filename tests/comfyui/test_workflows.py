"""The example workflows: what they hold fits the nodes, and they run."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from motionlift.models.loading import load
from motionlift.motion.file import Motion
from motionlift.video.clip import Clip
from motionlift.world.scenes import render, sample
from tests.comfyui.conftest import PACK, PICTURED, Comfy
from tests.twins import TRANSFORMERS

WORKFLOWS = ("text", "my_picture")
NOTES = ("MarkdownNote",)
"""What the page alone knows."""


def read(folder: str, name: str) -> dict[str, Any]:
    return json.loads((PACK / folder / f"{name}.json").read_text(encoding="utf-8"))


def prompt_in(name: str) -> dict[str, Any]:
    """A workflow in the form of the API, without what is for people alone."""
    return {
        number: {key: told[key] for key in ("class_type", "inputs")}
        for number, told in read("api_workflows", name).items()
    }


def test_there_is_no_other_workflow():
    """Each has a picture beside it, which ComfyUI shows among its templates."""
    for folder, ends in {"example_workflows": ("json", "jpg"), "api_workflows": ("json",)}.items():
        expected = {f"{name}.{end}" for name in WORKFLOWS for end in ends}
        assert {path.name for path in (PACK / folder).iterdir()} == expected


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_node_input_link_and_value_fits(filled: Comfy, name: str):
    workflow, nodes = read("example_workflows", name), filled.nodes
    assert {told["type"] for told in workflow["nodes"]} - nodes.keys() == {*NOTES}
    prompt = filled.graph.prompt_of(workflow, nodes)
    assert filled.graph.faults(prompt, nodes) == []
    assert prompt == prompt_in(name), "both forms say the same"


@pytest.mark.parametrize("name", WORKFLOWS)
def test_sockets_and_links_say_the_same(comfy: Comfy, name: str):
    workflow = read("example_workflows", name)
    numbered = {told["id"]: told for told in workflow["nodes"]}
    assert workflow["last_node_id"] == max(numbered) and len(numbered) == len(workflow["nodes"])
    assert workflow["last_link_id"] == max(link[0] for link in workflow["links"])
    for number, source, out, target, into, kind in workflow["links"]:
        socket, taken = numbered[source]["outputs"][out], numbered[target]["inputs"][into]
        assert number in socket["links"] and taken["link"] == number
        assert taken["type"] in ("*", kind) and (socket["type"] == kind or taken["type"] == "*")
    known = {link[0] for link in workflow["links"]}
    for told in workflow["nodes"]:
        if told["type"] in NOTES:
            continue
        node = comfy.nodes[told["type"]]
        assert [each["type"] for each in told["outputs"]] == [*node.RETURN_TYPES]
        if hasattr(node, "RETURN_NAMES"):
            assert [each["name"] for each in told["outputs"]] == [*node.RETURN_NAMES]
        assert {link for each in told["outputs"] for link in each["links"] or ()} <= known
        kinds = {each: kind for each, kind, *_ in comfy.graph.inputs_of(node)}
        for socket in told["inputs"]:
            own = kinds[socket["name"]]
            assert socket["type"] == ("COMBO" if isinstance(own, list) else own)
            assert ("widget" in socket) == comfy.graph.is_widget(own)
        sockets = {each for each, kind in kinds.items() if not comfy.graph.is_widget(kind)}
        assert sockets <= {each["name"] for each in told["inputs"]}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_of_the_form_that_the_page_reads(name: str):
    """What version 0.4 of the form must have, by the page's own description of it (ComfyUI_frontend 1.58)."""
    workflow = read("example_workflows", name)
    assert workflow["version"] == 0.4 and re.fullmatch(r"[0-9a-f-]{36}", workflow["id"])
    for told in workflow["nodes"]:
        must: Mapping[str, type | tuple[type, ...]] = {"id": int, "type": str, "pos": list, "size": list, "flags": dict}
        must = {**must, "order": int, "mode": int, "properties": dict, "inputs": list, "outputs": list}
        assert all(isinstance(told[key], kind) for key, kind in must.items())
        assert len(told["pos"]) == len(told["size"]) == 2
        assert told["properties"].get("cnr_id", "comfy-core") in ("comfy-core", "motionlift")
    assert all(len(link) == 6 for link in workflow["links"])


def test_what_does_not_fit_is_found(filled: Comfy):
    """The checks above see what they are there for."""
    wrong: list[tuple[str, str, Any]] = [
        ("7", "seed", -1), ("7", "prompt", ["4", 0]), ("7", "motion", "walk"), ("5", "method", "magic"), ("7", "speed", 1),
    ]  # fmt: skip
    for number, name, value in wrong:
        prompt = prompt_in("text")
        prompt[number]["inputs"][name] = value
        found = filled.graph.faults(prompt, filled.nodes)
        assert len(found) == 1 and name in found[0], (number, name)
    del (prompt := prompt_in("text"))["7"]["inputs"]["model"]
    assert filled.graph.faults(prompt, filled.nodes) == ["7: model is missing"]


@pytest.mark.slow
def test_the_workflow_with_words_runs_on_the_bundled_model(filled: Comfy):
    Clip.of(render([sample(5, 0)]).frames[0], 8).save(filled.base / "input" / "reference.mp4")
    executor = filled.graph.Executor(filled.nodes)
    shown, given = executor.run(prompt_in("text"))
    assert len(executor.ran) == len(prompt_in("text"))
    about = load().about
    (images, fps, motion, record) = next(each for each in given.values() if len(each) == 4)
    assert images.shape == (about.shape.frames, about.shape.height, about.shape.width, 3) and fps > 0
    assert images.dtype == torch.float32 and 0 <= images.min() < images.max() <= 1
    assert isinstance(motion, Motion) and json.loads(record)["model"]
    assert (filled.base / "output" / "video" / "motionlift_00001_.mp4").is_file()
    assert Motion.load(filled.base / "output" / "motions" / "motion_00001_.safetensors").method == "ditflow"
    (scores,) = [each["text"] for each in shown.values() if "text" in each]
    assert json.loads(scores[0])["figures"]["motion_fidelity"] is not None


@pytest.mark.slow
def test_the_workflow_with_a_picture_runs_on_a_small_twin(filled: Comfy):
    """The same graph, with the twin's size, few steps, and a twin of the model in the place of the model."""
    folder: Path = filled.base / "models" / "diffusers" / PICTURED
    TRANSFORMERS["wan-2.2-ti2v"].build().save_pretrained(folder)
    prompt = prompt_in("my_picture")
    (lift,) = [told for told in prompt.values() if told["class_type"] == "MotionliftLiftMotion"]
    lift["inputs"] |= {"frames": 9, "width": 64, "height": 64, "settings": ["99", 0]}
    prompt["99"] = {"class_type": "MotionliftSettings_flowmotion", "inputs": {"steps": 2}}
    shown, given = filled.graph.Executor(filled.nodes).run(prompt)
    (images, *_, record) = next(each for each in given.values() if len(each) == 4)
    assert images.shape == (9, 64, 64, 3) and json.loads(record)["picture_sha256"]
    assert len([each for each in shown.values() if "images" in each]) == 1
