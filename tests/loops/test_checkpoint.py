"""Training that stops and resumes must go exactly as if it had not stopped."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from motionlift.errors import OutputError
from motionlift.loops.checkpoint import load_checkpoint, save_checkpoint
from motionlift.motion import file as motion_file


class Training:
    """A small network with one optimiser for its matrix and another for the rest."""

    def __init__(self, seed: int):
        torch.manual_seed(seed)
        self.network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.BatchNorm1d(6), nn.Linear(6, 2))
        matrix = self.network[0].weight
        rest = [parameter for parameter in self.network.parameters() if parameter is not matrix]
        self.modules = {"network": self.network}
        self.optimizers = {"muon": torch.optim.Muon([matrix], lr=0.02), "adamw": torch.optim.AdamW(rest, lr=0.01)}

    def run(self, steps: range) -> None:
        for step in steps:
            batch = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
            loss = (self.network(batch) - batch[:, :2].sin()).square().mean()
            loss.backward()
            for optimizer in self.optimizers.values():
                optimizer.step()
                optimizer.zero_grad()

    def assert_same(self, other: "Training") -> None:
        torch.testing.assert_close(self.network.state_dict(), other.network.state_dict(), atol=0, rtol=0)
        for name, optimizer in self.optimizers.items():
            mine, theirs = optimizer.state_dict()["state"], other.optimizers[name].state_dict()["state"]
            torch.testing.assert_close(mine, theirs, atol=0, rtol=0)


def test_resume_is_exact(tmp_path: Path):
    straight, first, resumed = Training(seed=0), Training(seed=0), Training(seed=1)
    straight.run(range(8))
    first.run(range(3))
    path = tmp_path / "state.safetensors"
    save_checkpoint(path, 3, first.modules, first.optimizers)
    resumed.run(range(20, 22))
    assert load_checkpoint(path, resumed.modules, resumed.optimizers) == 3
    resumed.assert_same(first)
    resumed.run(range(3, 8))
    resumed.assert_same(straight)


def test_momentum_matters(tmp_path: Path):
    """Without the optimisers' state the same resume goes elsewhere: the test above can fail."""
    straight, first, resumed = Training(seed=0), Training(seed=0), Training(seed=1)
    straight.run(range(8))
    first.run(range(3))
    path = tmp_path / "state.safetensors"
    save_checkpoint(path, 3, first.modules, first.optimizers)
    load_checkpoint(path, resumed.modules, {})
    resumed.run(range(3, 8))
    with pytest.raises(AssertionError):
        resumed.assert_same(straight)


def test_interrupted_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "state.safetensors"
    training = Training(seed=0)
    save_checkpoint(path, 1, training.modules, training.optimizers)
    old = path.read_bytes()

    def broken_save(tensors: dict[str, torch.Tensor], target: Path, metadata: dict[str, str]) -> None:
        save_file(tensors, target, metadata)
        Path(target).write_bytes(Path(target).read_bytes()[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(motion_file, "save_file", broken_save)
    training.run(range(2))
    with pytest.raises(OutputError, match=r"cannot write .*state.safetensors: the disk is full"):
        save_checkpoint(path, 2, training.modules, training.optimizers)
    assert path.read_bytes() == old


def test_nothing_but_the_checkpoint_stays(tmp_path: Path):
    training = Training(seed=0)
    for step in (1, 2):
        save_checkpoint(tmp_path / "state.safetensors", step, training.modules, training.optimizers)
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]
    assert load_checkpoint(tmp_path / "state.safetensors", training.modules, training.optimizers) == 2


def test_other_network_is_refused(tmp_path: Path):
    training = Training(seed=0)
    path = tmp_path / "state.safetensors"
    save_checkpoint(path, 1, training.modules, training.optimizers)
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_checkpoint(
            path, {"network": nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.BatchNorm1d(6), nn.Linear(6, 2))}, {}
        )
