"""Networks whose tokens several processes share: refusals, masks, and the same numbers as those of one process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from motionlift.cli.main import run
from motionlift.core.memory import Measures
from motionlift.errors import ModelError, SettingError
from motionlift.models import parallel
from motionlift.models.families import families
from motionlift.models.loading import load
from tests.cli.calls import frames_of
from tests.models.parallel_passes import ADAPTED, BEGUN, FLOWMOTION, FP8, PLAIN, PROMPT
from tests.twins import TRANSFORMERS

ROOT = Path(__file__).parents[2]
LAUNCHER = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m"]


def started(monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    """As the first of several processes, which cannot be reached."""
    values = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": str(processes)}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_families_are_those_whose_plans_of_diffusers_hold():
    assert {name for name, family in families().items() if family.context_parallel} == {"ltx", "wan"}


@pytest.mark.parametrize("model", ["tiny-dit", "tiny-unet"])
def test_other_families_are_refused_before_weights_are_read(model: str, monkeypatch: pytest.MonkeyPatch):
    started(monkeypatch, 2)
    monkeypatch.setattr("motionlift.models.loading._read", None)
    with pytest.raises(SettingError, match=rf"{model} is of the family \w+, .* those of ltx and wan can"):
        load(model, "cpu", parallel=2)


def test_a_given_pipeline_of_another_family_is_refused(monkeypatch: pytest.MonkeyPatch):
    started(monkeypatch, 2)
    with pytest.raises(SettingError, match="of the family skyreels"):
        TRANSFORMERS["skyreels"].model().sharing(2)


@pytest.mark.parametrize(("there", "told"), [(1, "1 was started"), (4, "4 were started")])
def test_other_processes_than_asked_for_are_refused(there: int, told: str, monkeypatch: pytest.MonkeyPatch):
    started(monkeypatch, there)
    with pytest.raises(
        SettingError, match=rf"2 processes .* {told}: .* accelerate launch .*--num_processes 2 -m motionlift"
    ):
        load(TRANSFORMERS["wan-2.1"].build(), "cpu", parallel=2)


def test_what_does_not_go_with_it_is_refused(monkeypatch: pytest.MonkeyPatch):
    started(monkeypatch, 2)
    family, cpu = families()["wan"], torch.device("cpu")
    with pytest.raises(SettingError, match="a compiled network does not go with a sequence that processes share"):
        parallel.check_sharing(2, family, "it", cpu, {"a compiled network": True})
    with pytest.raises(SettingError, match="share a sequence on cpu or cuda, and the device is mps"):
        parallel.check_sharing(2, family, "it", torch.device("mps"), {})
    pipeline = TRANSFORMERS["wan-2.1"].build()
    model = families()["wan"](pipeline, "it", cpu, measures=Measures(offloaded=True))
    with pytest.raises(SettingError, match="a network that is offloaded does not go with"):
        model.sharing(2)


def test_heads_that_cannot_be_shared_are_refused(monkeypatch: pytest.MonkeyPatch):
    started(monkeypatch, 3)
    with pytest.raises(
        SettingError, match="3 processes cannot share the 2 heads of WanTransformer3DModel; allowed are 2"
    ):
        TRANSFORMERS["wan-2.1"].model().sharing(3)


def test_foreign_attention_is_refused(monkeypatch: pytest.MonkeyPatch):
    class Foreign:
        def __call__(self, *_: Any, **__: Any) -> None: ...

    started(monkeypatch, 2)
    pipeline = TRANSFORMERS["wan-2.1"].build()
    pipeline.transformer.blocks[1].attn1.set_processor(Foreign())
    with pytest.raises(ModelError, match="Foreign of WanTransformer3DModel attend to a process's own share alone"):
        load(pipeline, "cpu", parallel=2)


def test_processes_that_cannot_be_reached_are_one_line(monkeypatch: pytest.MonkeyPatch):
    started(monkeypatch, 2)
    with pytest.raises(SettingError, match=r"the 2 processes cannot speak to each other \(.*MASTER_\w+.*torchrun"):
        TRANSFORMERS["wan-2.1"].model().sharing(2)


def test_processes_that_do_not_do_the_same_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parallel, "_told_by_all", lambda told: [told, "a model with parts"])
    with pytest.raises(
        SettingError, match="do not do the same, a model with nothing but a model with parts: give all one"
    ):
        parallel.check_same("a model with nothing")
    parallel.check_same("a model with parts")


def test_a_share_of_the_heads_takes_its_share_of_a_mask():
    query = torch.randn(1, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    row = torch.tensor([0.0, -10000.0, 0.0]).view(1, 1, 1, 3)
    with parallel._MasksOfHeads():
        found = scaled_dot_product_attention(query=query, key=query, value=query, attn_mask=row.expand(1, 4, 1, 3))
    wanted = (query[:, :, :, None] * query[:, :, None, :, :]).sum(-1) / 2  # 1 / sqrt(4)
    wanted = wanted[..., [0, 2]].softmax(-1) @ query[:, :, [0, 2]]
    torch.testing.assert_close(found, wanted)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By gloo, on a CPU: every twin of the families that can be shared, from text and from a picture; and a whole transfer."""
    monkeypatch.setenv("MOTIONLIFT_CACHE", str(tmp_path / "alone"))
    monkeypatch.chdir(tmp_path)
    TRANSFORMERS["wan-2.1"].build().save_pretrained("model")
    assert run(["world", "clips", "--count", "1", "--seed", "4", "--frames", "17", "--size", "32"]) == 0
    (clip,) = Path("clips").glob("*.mp4")
    words = [
        "transfer",
        str(clip),
        "--prompt",
        PROMPT,
        "--method",
        "inverted",
        "--source-prompt",
        PROMPT,
        "--steps",
        "3",
    ]
    words += ["--model", "model", "--frames", "9", "--size", "32x32", "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MOTIONLIFT_CACHE": str(tmp_path / "two")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    shared = [*words, "--output", "two.mp4", "--parallel", "context=2"]
    command = [sys.executable, *LAUNCHER, "tests.models.parallel_passes", *shared]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    told = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert sorted(each["rank"] for each in told) == [0, 1]
    for each in told:
        assert each["found"].pop("looked at")
        assert set(each["found"]) == {*PLAIN, *[f"{name} from a picture" for name in BEGUN], FP8, ADAPTED, FLOWMOTION}
        for name, (apart, largest) in each["found"].items():
            assert apart < 1e-5 * largest, name
    assert ran.stdout.count("wrote two.mp4") == 1
    assert run([*words, "--output", "one.mp4"]) == 0
    one, two = (json.loads(Path(f"{name}.json").read_text()) for name in ("one", "two"))
    assert two["model"].pop("parallel") == {"context": 2}
    assert two["model"] == one["model"]
    assert two["passes"] == one["passes"]
    frames = [frames_of(f"{name}.mp4").astype(int) for name in ("one", "two")]
    assert abs(frames[0] - frames[1]).max() <= 2
