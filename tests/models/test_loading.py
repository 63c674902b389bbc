"""Models from names, folders and pipelines: what is the same, and what is refused."""

import json
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import torch

from motionlift.errors import MemoryShortError, ModelError, SettingError
from motionlift.models import loading
from motionlift.models.loading import load
from tests.twins import cogvideox
from tests.twins.wan import wan_of_two
from tests.work.trials import refusal


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the twin."""
    folder = tmp_path_factory.mktemp("models") / "twin"
    cogvideox().save_pretrained(folder)
    return folder


@pytest.fixture
def copied(saved: Path, tmp_path: Path) -> Path:
    """A folder of the twin, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "twin"))


def test_a_folder_and_a_pipeline_are_the_same_model(saved: Path):
    loaded, model = load(str(saved), "cpu"), load(cogvideox(), "cpu")
    assert loaded.about.name == str(saved)
    assert (loaded.about.identity, loaded.about.fingerprint) == (model.about.identity, model.about.fingerprint)
    conditions = [own.text.encode("a red star on a blue field").tensors for own in (load(saved), model)]
    assert conditions[0].keys() == conditions[1].keys()
    assert all(torch.equal(tensor, conditions[1][name]) for name, tensor in conditions[0].items())


def test_a_folder_named_from_home(saved: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(saved.parent))
    assert load("~/twin").about.name == "~/twin"
    assert "is not to be had" in refusal(ModelError, lambda: load("~/none"))
    assert "is not to be had" in refusal(ModelError, lambda: load("~nobody-has-this-name/twin"))


@pytest.mark.parametrize("name", ["tiny-dot", "", "a" * 5000, "a\0b", "two\nlines", "/none/there", "./none", "a/b/c"])
def test_unknown_models(name: str):
    message = refusal(ModelError, lambda: load(name))
    assert "tiny-dit" in message and "hub name" in message


def test_hub_names_without_a_network():
    huggingface_hub.HfApi  # noqa: B018  # imported before the clock starts
    started = time.monotonic()
    message = refusal(ModelError, lambda: load("nobody/nothing"))
    assert "'nobody/nothing'" in message and "tiny-dit" in message
    assert time.monotonic() - started < 5, "it hung on the network"


@pytest.mark.parametrize(
    "index", ["", "{", "[]", "3", "null", "{}", '{"_class_name": 3}', '{"_class_name": null}', "\xff"]
)
def test_an_index_that_is_no_index(copied: Path, index: str):
    (copied / "model_index.json").write_text(index, encoding="latin-1")
    refusal(ModelError, lambda: load(copied))


def test_folders_that_hold_no_pipeline(tmp_path: Path):
    (tmp_path / "model_index.json").mkdir()
    for path in (tmp_path, tmp_path / "model_index.json"):
        assert "model_index.json" in refusal(ModelError, lambda path=path: load(path))


@pytest.mark.parametrize("name", ["StableDiffusionPipeline", "SanaVideoPipeline", "os", "Tokenizer"])
def test_classes_that_no_family_serves(copied: Path, name: str):
    index = json.loads((copied / "model_index.json").read_text())
    (copied / "model_index.json").write_text(json.dumps(index | {"_class_name": name}))
    message = refusal(ModelError, lambda: load(copied))
    why = ": its attention has no softmax" if name == "SanaVideoPipeline" else "; "
    assert f"no model family serves {name}{why}" in message
    assert "allowed are models of AllegroPipeline, AnimateDiffPipeline, CogVideoXImageToVideoPipeline, Cog" in message


@pytest.mark.parametrize("thing", [None, 3, object(), torch.nn.Linear(1, 1)])
def test_things_that_are_no_model(thing: Any):
    assert "no model family serves" in refusal(ModelError, lambda: load(thing))


PARTS = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_missing(copied: Path, part: str):
    shutil.rmtree(copied / part)
    assert "incomplete or damaged" in refusal(ModelError, lambda: load(copied))


def weights(folder: Path, part: str) -> Path:
    (found,) = (folder / part).glob("*.safetensors")
    return found


@pytest.mark.slow
def test_weights_in_half_precision_alone(copied: Path):
    """As many published folders hold them: ``*.fp16.safetensors``."""
    whole = load(copied).network.state_dict()
    for part in PARTS[:3]:
        path = weights(copied, part)
        path.rename(path.with_name(path.name.replace(".safetensors", ".fp16.safetensors")))
    half = load(copied).network.state_dict()
    assert all(torch.equal(tensor, half[name]) for name, tensor in whole.items())


def test_a_model_of_two_networks_that_lacks_one(tmp_path: Path):
    pipeline = wan_of_two()
    assert load(pipeline).network.keys() == {"transformer", "transformer_2"}
    pipeline.save_pretrained(tmp_path / "whole")
    index = json.loads((tmp_path / "whole" / "model_index.json").read_text())
    (tmp_path / "whole" / "model_index.json").write_text(json.dumps(index | {"transformer_2": [None, None]}))
    assert "lacks its second network, transformer_2, for levels below 0.875" in refusal(
        ModelError, lambda: load(tmp_path / "whole")
    )
    (tmp_path / "whole" / "model_index.json").write_text(json.dumps(index))
    shutil.rmtree(tmp_path / "whole" / "transformer_2")
    assert "incomplete or damaged" in refusal(ModelError, lambda: load(tmp_path / "whole"))


def test_a_tokenizer_without_words(copied: Path):
    (copied / "tokenizer" / "tokenizer.json").unlink()
    assert "tokenizer is empty" in refusal(ModelError, lambda: load(copied))


@pytest.mark.parametrize("part", PARTS[:3])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise"])
def test_damaged_weights(copied: Path, part: str, damage: str):
    path = weights(copied, part)
    data = path.read_bytes()
    path.unlink()
    left = {"empty": b"", "cut": data[: len(data) // 2], "noise": bytes(range(256)) * 20}
    if damage in left:
        path.write_bytes(left[damage])
    assert "incomplete or damaged" in refusal(ModelError, lambda: load(copied))


@pytest.mark.parametrize("part", PARTS[:3])
@pytest.mark.parametrize("config", ["", "{", "[]", "{}"])
def test_damaged_configurations(copied: Path, part: str, config: str):
    (copied / part / "config.json").write_text(config)
    refusal(ModelError, lambda: load(copied))


class _Touch:
    """Unpickling this makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    ("part", "name"), [("transformer", "diffusion_pytorch_model.bin"), ("text_encoder", "pytorch_model.bin")]
)
def test_pickled_weights_are_not_read(copied: Path, tmp_path: Path, part: str, name: str):
    weights(copied, part).unlink()
    trap = tmp_path / "was-unpickled"
    torch.save({"weight": _Touch(trap)}, copied / part / name)
    assert "incomplete or damaged" in refusal(ModelError, lambda: load(copied))
    assert not trap.exists()


def test_code_in_a_model_is_not_run(copied: Path, tmp_path: Path):
    trap = tmp_path / "was-run"
    program = f"import pathlib\npathlib.Path({str(trap)!r}).touch()\nclass Evil: pass\n"
    for place in (copied / "vae" / "evil.py", copied / "evil.py"):
        place.write_text(program)
    index = json.loads((copied / "model_index.json").read_text())
    (copied / "model_index.json").write_text(json.dumps(index | {"vae": ["evil", "Evil"]}))
    refusal(ModelError, lambda: load(copied))
    assert not trap.exists()


@pytest.mark.parametrize("name", ["cuda", "auto"])
@pytest.mark.parametrize(("rank", "gpus", "own"), [(None, 1, 0), ("1", 2, 1), ("3", 1, 0)])
def test_processes_have_a_gpu_each_as_far_as_there_are(
    name: str, rank: str | None, gpus: int, own: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch, "zeros", lambda *_, device: SimpleNamespace(tolist=list, device=device))
    monkeypatch.delenv("LOCAL_RANK", raising=False) if rank is None else monkeypatch.setenv("LOCAL_RANK", rank)
    assert loading.device_named(name) == torch.device("cuda", own)


@pytest.mark.parametrize("device", ["gpu", "", "meta", "cuda:99", "cpu cpu", "privateuseone"])
def test_devices_that_are_not_there(device: str):
    assert "allowed are auto, cpu" in refusal(SettingError, lambda: load("tiny-dot", device))


@pytest.mark.parametrize(("dtype", "half"), [("auto", True), ("bf16", False)])
def test_memory_that_ends_while_weights_are_read_is_told_as_such(
    saved: Path, dtype: str, half: bool, monkeypatch: pytest.MonkeyPatch
):
    def short(*_: object, **__: object) -> None:
        try:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes.")
        except RuntimeError as error:
            raise OSError("Unable to load weights from checkpoint file") from error

    monkeypatch.setattr(loading, "_read_pipeline", short)
    told = refusal(MemoryShortError, lambda: load(str(saved), "cpu", dtype=dtype))
    assert "were read, where 4096 bytes more were asked for" in told and ("bf16" in told) is half
