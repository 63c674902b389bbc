"""``motionlift plan``: on a folder without weights, and what it refuses."""

import json
from pathlib import Path

import pytest

from motionlift.cli import planned
from motionlift.cli.main import run
from motionlift.core.cost import Passes
from motionlift.core.lattice import Shape
from motionlift.core.memory import Measures
from motionlift.errors import MemoryShortError
from motionlift.video.clip import Clip
from motionlift.work.memory import Room
from motionlift.work.plan import Phase, Plan
from motionlift.work.planning import Asked
from tests.twins import cogvideox


@pytest.fixture
def reference(tmp_path: Path) -> str:
    import torch

    frames = torch.randint(0, 255, (12, 32, 32, 3), dtype=torch.uint8)
    Clip.of(frames, 8.0).save(tmp_path / "clip.mp4")
    return str(tmp_path / "clip.mp4")


@pytest.mark.slow
def test_a_plan_needs_no_weights_and_writes_nothing(tmp_path: Path, reference: str, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cogvideox().save_pretrained(tmp_path / "model")
    for file in (tmp_path / "model").rglob("*.safetensors"):
        file.unlink()
    before = sorted(tmp_path.iterdir())
    given = [
        reference,
        "--prompt",
        "a red star",
        "--model",
        str(tmp_path / "model"),
        "--device",
        "cuda",
        "--memory",
        "8GB",
    ]
    assert run(["plan", "transfer", *given, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["memory_bytes"] == 8 * 10**9 and told["measures"] == [] and told["seconds"] is None
    assert set(told["predicted_bytes"]) == {"text", "encode", "lift", "guide", "sample", "decode"}
    assert run(["plan", "lift", reference, "--model", str(tmp_path / "model"), "--memory", "1GB"]) == 0
    assert "it fits: " in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == before


def test_a_plan_knows_whether_the_network_is_compiled(reference: str, monkeypatch):
    asked: list[bool] = []

    def planned(given: Asked, *_: object) -> None:
        asked.append(given.compiled)
        raise MemoryShortError("it does not fit")

    monkeypatch.setattr("motionlift.work.planning.planned", planned)
    for more in ([], ["--compile"]):
        assert run(["plan", "transfer", reference, "--prompt", "a red star", "--device", "cpu", *more]) == 1
    assert asked == [False, True]


def test_main_memory_is_told_beside_a_device_that_is_here(capsys):
    room = Room("cuda", "a card", 8 * 10**9, main=4 * 10**9)
    plan = Plan(room, Measures(), (Phase("sample", 10, 20),), "f" * 64, Shape(9, 32, 32), 10, Passes(), main=19 * 10**8)
    planned._print(plan)
    assert "beside it at most 2.0 GB of 4.0 GB of main memory" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("memory", "words"), [("0GB", "more than nothing"), ("nine", "such as 12GB"), ("9000TB", "than it has")]
)
def test_memory_that_cannot_be_is_refused_in_one_line(reference: str, memory: str, words: str, capsys):
    for command in (["plan", "lift"], ["lift"]):
        assert (
            run([*command, reference, "--memory", memory, "--output", f"{reference}.safetensors", "--device", "cpu"])
            == 1
        )
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
        assert len(errors) == 1 and words in errors[0]
