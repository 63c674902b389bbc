"""The nodes as ComfyUI sees them, and what they do within it."""

import inspect
import json
import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import motionlift
from motionlift.core.settings import described, read_values
from motionlift.errors import InputError, ModelError, MotionError, MotionliftError, SettingError
from motionlift.methods import methods
from motionlift.models.sources import BUNDLED_MODELS, DEFAULT_MODEL
from tests.adapters import adapter_of, linear_of, motion_of
from tests.comfyui.conftest import Comfy
from tests.motion import foreign
from tests.twins import TRANSFORMERS
from tests.work.trials import PROMPT, QUICK, TUNED, a_clip

NAMES = [
    "LoadModel", "LiftMotion", "EditMotion", "CastMotion", "ScoreVideo", "LoadMotion", "SaveMotion", "SaveAdapter",
]  # fmt: skip
NUMBERS = ("INT", "FLOAT")


def images_of(frames: int = 9, seed: int = 0) -> Tensor:
    """A batch as ComfyUI's nodes hand it on."""
    return a_clip(seed, frames).frames.float() / 255


@pytest.fixture
def line(comfy: Comfy) -> Callable[..., str]:
    """The one line that a node refuses something with."""

    def refused(kind: type[MotionliftError], name: str, **given: Any) -> str:
        node = comfy.nodes[f"Motionlift{name}"]
        with pytest.raises(kind) as told:
            getattr(node(), node.FUNCTION)(**given)
        assert "\n" not in str(told.value)
        return str(told.value)

    return refused


@pytest.fixture
def held(comfy: Comfy) -> Callable[..., dict[str, Any]]:
    """Nodes that give something that is there already, beside all others."""

    def given(**things: Any) -> dict[str, Any]:
        kinds = {"model": "MOTIONLIFT_MODEL", "motion": "MOTIONLIFT_MOTION", "images": "IMAGE"}

        def node(name: str) -> type:
            about = {"INPUT_TYPES": classmethod(lambda cls: {}), "FUNCTION": "run", "RETURN_TYPES": (kinds[name],)}
            return type(name, (), {**about, "run": lambda self: (things[name],)})

        return {**comfy.nodes, **{name: node(name) for name in things}}

    return given


def test_every_node_is_as_comfyui_wants_it(comfy: Comfy):
    nodes = comfy.pack.NODE_CLASS_MAPPINGS
    assert nodes.keys() == {f"Motionlift{name}" for name in NAMES} | {
        f"MotionliftSettings_{name}" for name in methods()
    }
    titles = comfy.pack.NODE_DISPLAY_NAME_MAPPINGS
    assert titles.keys() == nodes.keys() and len({*titles.values()}) == len(nodes)
    for name, node in nodes.items():
        inputs = [*comfy.graph.inputs_of(node)]
        takes = inspect.signature(getattr(node, node.FUNCTION)).parameters
        if "given" not in takes:
            assert [each for each in takes if each != "self"] == [each[0] for each in inputs], name
        assert all(more["tooltip"].strip() for _, _, more, _ in inputs), name
        assert node.DESCRIPTION and node.CATEGORY.startswith("motionlift")
        assert len(getattr(node, "RETURN_NAMES", ())) == len(node.RETURN_TYPES)
        for _, kind, more, must in inputs:
            assert not must or kind in (*NUMBERS, "STRING") or isinstance(kind, list) or kind.isupper()
            assert not isinstance(kind, list) or not kind or more.get("default", kind[0]) in kind


@pytest.mark.parametrize("method", sorted(methods()))
def test_every_setting_has_a_widget_in_the_words_of_the_setting(comfy: Comfy, method: str):
    node = comfy.nodes[f"MotionliftSettings_{method}"]
    settings, widgets = methods()[method].Settings, node.INPUT_TYPES()["optional"]
    assert {*widgets} == {field.name for field in fields(settings)} - {"negative_prompt"}
    told = described(settings)
    for name, (_, more) in widgets.items():
        assert told[name].help in more["tooltip"] and told[name].allowed in more["tooltip"]
    left = {name: more["default"] for name, (_, more) in widgets.items()}
    assert node().run(**left)[0].values == {}, "what nobody touches is left to the model"


@pytest.mark.parametrize("method", sorted(methods()))
def test_what_a_widget_allows_the_setting_takes(comfy: Comfy, method: str):
    node = comfy.nodes[f"MotionliftSettings_{method}"]
    settings = methods()[method].Settings
    bounds = {field.name: field.metadata for field in fields(settings)}
    for name, (kind, more) in node.INPUT_TYPES()["optional"].items():
        tried = kind if isinstance(kind, list) else [bounds[name]["low"], more["max"]] if kind in NUMBERS else []
        for value in tried:
            values = node().run(**{name: value})[0].values if value != more["default"] else {}
            assert values == ({name: value} if value != more["default"] else {})
            read_values(settings, values)
        if isinstance(kind, list):
            assert more["default"] not in (bounds[name]["choices"] or ()), "no choice of the setting's own"


def test_settings_of_another_method_are_refused(comfy: Comfy, line: Callable[..., str]):
    (settings,) = comfy.nodes["MotionliftSettings_vmc"]().run(tuning_steps=3)
    model = TRANSFORMERS["wan-2.1"].model()
    given = {"model": model, "images": images_of(), "fps": 8.0, "method": "smm", "settings": settings}
    assert line(SettingError, "LiftMotion", **given).startswith("the settings are of vmc, and the method is smm")
    assert "give both" in line(SettingError, "LiftMotion", **{**given, "width": 32})


WRONG_LIFTS = [
    *({"fps": rate} for rate in (math.nan, math.inf, -1.0, 1e-6)),
    *({"frames": length} for length in (-5, 1, 10**9)),
    {"width": -32, "height": -32},
    {"width": 10**9, "height": 32},
    {"method": "magic"},
]
"""What links may bring: ComfyUI looks at the bounds of what is typed alone."""


@pytest.mark.parametrize("wrong", WRONG_LIFTS, ids=str)
def test_numbers_that_come_over_links_are_refused_in_words(line: Callable[..., str], wrong: dict[str, Any]):
    model = TRANSFORMERS["wan-2.1"].model()
    line(
        MotionliftError, "LiftMotion", **{"model": model, "images": images_of(), "fps": 8.0, "method": "none", **wrong}
    )


WRONG_CASTS = [{"seed": -1}, {"seed": 2**64}, {"prompt": " "}, {"picture": images_of()}]


@pytest.mark.parametrize("wrong", WRONG_CASTS, ids=[next(iter(each)) for each in WRONG_CASTS])
def test_casts_that_cannot_be_are_refused_in_words(line: Callable[..., str], wrong: dict[str, Any]):
    model = TRANSFORMERS["wan-2.1"].model()
    motion = motionlift.lift(a_clip(), model, "none", settings={"steps": 2})
    line(MotionliftError, "CastMotion", **{"motion": motion, "model": model, "prompt": PROMPT, "seed": 0, **wrong})


@pytest.mark.parametrize("rank", [-1, 10**6])
def test_ranks_that_cannot_be_are_refused_in_words(line: Callable[..., str], rank: int):
    model = TRANSFORMERS["wan-2.1"].model()
    motion = motion_of(model, adapter_of(linear_of(model), "differences"))
    assert "rank" in line(SettingError, "SaveAdapter", motion=motion, filename_prefix="loras/walk", rank=rank)


def test_bundled_models_and_those_of_the_diffusers_folders_are_listed(comfy: Comfy):
    place = comfy.base / "models" / "diffusers"
    for folder in ("one", "within/two", "within/two/transformer"):
        (place / folder).mkdir(parents=True)
    for folder in ("one", "within/two"):
        (place / folder / "model_index.json").write_text("{}")
    (place / "circle").symlink_to(place, target_is_directory=True)
    listed = comfy.nodes["MotionliftLoadModel"].INPUT_TYPES()["required"]["model"][0]
    assert listed[: 1 + len(BUNDLED_MODELS)] == ["bundled", *BUNDLED_MODELS]
    assert {"one", "within/two"} <= {*listed} and len(listed) < 10


@pytest.mark.parametrize(
    "name", ["../../etc", "/etc", "", "one/../../..", "nobody", "a\0b", "~", "https://example.com/x"]
)
def test_a_model_that_is_not_listed_is_refused(line: Callable[..., str], name: str):
    assert "there is no model" in line(ModelError, "LoadModel", model=name, dtype="auto", memory="usual")


def test_the_bundled_model_is_the_librarys_own(comfy: Comfy, monkeypatch: pytest.MonkeyPatch):
    asked = []
    own = comfy.nodes["MotionliftLoadModel"]
    monkeypatch.setitem(own.run.__globals__, "load", lambda *given, **more: asked.append((given, more)))
    for memory in own.INPUT_TYPES()["required"]["memory"][0]:
        own().run("bundled", "bf16", memory)
    assert {given for given, _ in asked} == {(DEFAULT_MODEL, "cpu")}
    assert [more["measures"] and more["measures"].taken[3:] for _, more in asked] == [
        None, ("offloaded",), ("fp8",), ("int8",), ("nf4",), ("torchao-int8",), ("quanto-int8",), ("quanto-int4",)
    ]  # fmt: skip


def test_pictures_come_and_go_as_batches_from_0_to_1(comfy: Comfy):
    own = comfy.nodes["MotionliftCastMotion"].run.__globals__
    with torch.inference_mode():
        images = images_of()
        images[0, 0, 0] = torch.tensor([-0.01, 0.5, 1.01])
    clip = own["clip_of"](images, 8.0)
    assert clip.frames.dtype == torch.uint8 and clip.frames[0, 0, 0].tolist() == [0, 128, 255]
    back = own["images_of"](clip)
    assert back.dtype == torch.float32 and back.shape == images.shape
    np.testing.assert_allclose(back, images.clamp(0, 1), atol=0.5 / 255 + 1e-6)


NO_BATCHES = {
    "no colours": torch.rand(9, 32, 32),
    "grey": torch.rand(9, 32, 32, 1),
    "not numbers": torch.full((9, 32, 32, 3), math.nan),
    "no frames": torch.rand(0, 8, 8, 3),
    "nothing": None,
    "a name": "video.mp4",
}


@pytest.mark.parametrize("images", NO_BATCHES.values(), ids=NO_BATCHES)
def test_what_is_no_batch_of_pictures_is_refused(line: Callable[..., str], images: Any):
    more = {"generated": images_of(), "generated_fps": 8.0, "reference_fps": 8.0}
    line(InputError, "ScoreVideo", reference=images, **more)


def a_graph(*, steps: int = 3) -> dict[str, Any]:
    """Lift, save, edit and cast, with the settings of quick trials."""
    quick = {name: value for name, value in QUICK.items() if name != "block"}
    return {
        "1": {"class_type": "model", "inputs": {}},
        "2": {"class_type": "images", "inputs": {}},
        "3": {"class_type": "MotionliftSettings_ditflow", "inputs": {**quick, "steps": steps, "block": "1"}},
        "4": {
            "class_type": "MotionliftLiftMotion",
            "inputs": {"model": ["1", 0], "images": ["2", 0], "fps": 8.0, "method": "ditflow", "settings": ["3", 0]},
        },
        "5": {"class_type": "MotionliftEditMotion", "inputs": {"motion": ["4", 0], "edit": "mirror"}},
        "6": {
            "class_type": "MotionliftCastMotion",
            "inputs": {"motion": ["5", 0], "model": ["1", 0], "prompt": PROMPT, "seed": 3},
        },
        "7": {"class_type": "MotionliftSaveMotion", "inputs": {"motion": ["4", 0], "filename_prefix": "motions/walk"}},
        "8": {"class_type": "PreviewAny", "inputs": {"source": ["6", 3]}},
    }


@pytest.mark.slow
def test_a_graph_makes_what_the_library_makes(comfy: Comfy, held: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    """Also in inference mode, where nothing has gradients; the bar goes up, and nodes are not run again without need."""
    model, images, told = TRANSFORMERS["wan-2.1"].model(), images_of(), []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda done, total: told.append((done, total)))
    executor = comfy.graph.Executor(held(model=model, images=images))
    shown, given = executor.run(a_graph())
    frames, fps, _, record = given["6"]
    motion = motionlift.edit(motionlift.lift(a_clip(), model, settings=QUICK), "mirror")
    expected = motionlift.cast(motion, PROMPT, model, seed=3)
    assert torch.equal((frames * 255).round().to(torch.uint8), expected.clip.frames) and fps == expected.clip.fps
    assert json.loads(record)["seed"] == 3 and shown["8"]["text"] == [record]
    assert told[-3:] == [(1, 3), (2, 3), (3, 3)]

    assert shown["7"]["motions"] == [{"filename": "walk_00001_.safetensors", "subfolder": "motions", "type": "output"}]
    ran = len(executor.ran)
    graph = a_graph()
    graph["6"]["inputs"] |= {"motion": ["9", 0]}
    graph["9"] = {
        "class_type": "MotionliftLoadMotion", "inputs": {"motion": "motions/walk_00001_.safetensors [output]"}
    }  # fmt: skip
    del graph["5"], graph["7"]
    _, again = executor.run(graph)
    assert executor.ran[ran:] == ["MotionliftLoadMotion", "MotionliftCastMotion", "PreviewAny"]
    assert not torch.equal(again["6"][0], frames), "the motion is not mirrored"


def test_a_motion_is_moved_by_two_numbers(comfy: Comfy):
    motion = motionlift.lift(a_clip(), TRANSFORMERS["wan-2.1"].model(), settings=QUICK)
    node = comfy.nodes["MotionliftEditMotion"]()
    (there,) = node.run(motion, "move", right=0.5, down=-0.25)
    (mirrored,) = node.run(motion, "mirror", right=0.5)
    assert (there.edits, mirrored.edits) == (("move=0.5,-0.25",), ("mirror",))


@pytest.mark.slow
def test_work_is_stopped_at_the_next_step(comfy: Comfy, held: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    model, told = TRANSFORMERS["wan-2.1"].model(), []

    def stop_at_the_second(done: int, total: int) -> None:
        told.append(done)
        comfy.management.interrupt_current_processing(len(told) == 2)

    executor = comfy.graph.Executor(held(model=model, images=images_of()))
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", stop_at_the_second)
    with pytest.raises(comfy.management.InterruptProcessingException):
        executor.run(a_graph(steps=50))
    assert len(told) == 2
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", None)
    assert "6" in executor.run(a_graph())[1], "the model is as it was"


def test_a_gpu_is_made_room_on(comfy: Comfy):
    working = comfy.nodes["MotionliftCastMotion"].run.__globals__["working"]
    before = comfy.management.unloaded
    with torch.inference_mode(), working(torch.device("cuda")):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    with working(torch.device("cpu")):
        pass
    assert comfy.management.unloaded == before + 1


def test_a_video_is_scored(comfy: Comfy, monkeypatch: pytest.MonkeyPatch):
    told = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda done, total: told.append(done / total))
    fidelity, scores = comfy.nodes["MotionliftScoreVideo"]().run(images_of(), 8.0, images_of(), 8.0)
    found = json.loads(scores)
    assert found["figures"]["motion_fidelity"] == fidelity and found.keys() == {"figures", "left_out", "notices"}
    assert told == sorted(told) and len(told) > 3 and told[-1] <= 1


@pytest.mark.parametrize("name", ["wan-2.1", "ltx", "hunyuan", "cogvideox-rotary"])
@pytest.mark.parametrize("kind", ["factors", "differences"])
def test_what_is_saved_as_a_lora_the_key_map_of_comfyuis_loader_knows(comfy: Comfy, name: str, kind: str):
    model = TRANSFORMERS[name].model()
    layers = linear_of(model)
    motion = motion_of(model, adapter_of(layers, kind))
    told = comfy.nodes["MotionliftSaveAdapter"]().run(motion, "loras/walk", 0)["ui"]["adapters"]
    assert told == [{"filename": "walk_00001_.safetensors", "subfolder": "loras", "type": "output"}]
    file = load_file(comfy.base / "output" / "loras" / "walk_00001_.safetensors")
    changes, ignored = foreign.loaded("comfyui", model.about.family, model.about.blocks, file)
    assert not ignored and changes


def test_a_lora_of_two_networks_is_two_files(comfy: Comfy):
    model = TRANSFORMERS["wan-2.2"].model()
    motion = motion_of(model, adapter_of(linear_of(model)))
    told = comfy.nodes["MotionliftSaveAdapter"]().run(motion, "loras/walk", 0)["ui"]["adapters"]
    assert [each["filename"] for each in told] == [
        "walk_00001__high_noise.safetensors", "walk_00001__low_noise.safetensors"
    ]  # fmt: skip
    assert all((comfy.base / "output" / "loras" / each["filename"]).is_file() for each in told)


def test_what_was_not_tuned_is_no_lora(line: Callable[..., str]):
    model = TRANSFORMERS["wan-2.1"].model()
    told = line(MotionError, "SaveAdapter", motion=motion_of(model, {}), filename_prefix="loras/walk", rank=0)
    assert "holds no adapter" in told


@pytest.mark.slow
def test_what_is_tuned_in_a_graph_is_saved_as_a_lora(comfy: Comfy, held: Callable[..., Any]):
    """Tuning too has gradients."""
    executor = comfy.graph.Executor(held(model=TRANSFORMERS["wan-2.1"].model(), images=images_of()))
    lift = {"model": ["1", 0], "images": ["2", 0], "fps": 8.0, "method": "motionmatcher", "settings": ["3", 0]}
    shown, _ = executor.run(
        {
            "1": {"class_type": "model", "inputs": {}},
            "2": {"class_type": "images", "inputs": {}},
            "3": {"class_type": "MotionliftSettings_motionmatcher", "inputs": {**TUNED, "block": "1"}},
            "4": {"class_type": "MotionliftLiftMotion", "inputs": lift},
            "5": {
                "class_type": "MotionliftSaveAdapter",
                "inputs": {"motion": ["4", 0], "filename_prefix": "loras/walk", "rank": 0},
            },
        }
    )
    assert len(shown["5"]["adapters"]) == 1
