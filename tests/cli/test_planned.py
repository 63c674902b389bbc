"""``motionlift plan``: on a folder without weights, and what it refuses."""

import json
from pathlib import Path

import pytest

from motionlift.cli.main import run
from motionlift.video.clip import Clip
from tests.twins import cogvideox


@pytest.fixture
def reference(tmp_path: Path) -> str:
    import torch

    frames = torch.randint(0, 255, (12, 32, 32, 3), dtype=torch.uint8)
    Clip.of(frames, 8.0).save(tmp_path / "clip.mp4")
    return str(tmp_path / "clip.mp4")


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
