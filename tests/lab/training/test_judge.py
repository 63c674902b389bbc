"""The judge in training: what it is shown, what it learns, and what the command does."""

import sys
from pathlib import Path

import pytest
import torch

from lab.training import judge as judging
from lab.training.judge import draw_batch, judge_loss
from lab.training.worlds import NAMED_WORLD, SHAPES_WORLD
from motionlift.errors import ModelError, OutputError
from motionlift.loops.checkpoint import load_checkpoint, save_checkpoint
from motionlift.world import scenes
from motionlift.world.judge import CLASSES, NAMED_CLASSES, Judge, judge_of, load_judge
from motionlift.world.shapes import SHAPES


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_judge()


@pytest.mark.slow
@pytest.mark.parametrize("named", [False, True])
def test_the_shipped_judges_are_right_on_held_out_captions(named: bool):
    # Bounds below the figures of `python -m lab.training.judge --measure`, for a small sample; fresh scenes.
    judge, world = judge_of(named), NAMED_WORLD if named else SHAPES_WORLD
    measured = judging.measure(judge, 50 if named else 200, single=True, seed=5, world=world)
    for name in CLASSES:
        assert getattr(measured, name) >= 0.97, name
    assert measured.centre_error < 0.01
    assert measured.seen == 1.0


@pytest.mark.slow
def test_the_shipped_judge_stands_blur_and_noise(judge: Judge):
    frames, labels = draw_batch(seed=7, step=0, size=128)
    distorted = judging.distort(frames, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        verdict = judge(distorted)
    for name in CLASSES:
        truth = getattr(labels, name)
        right = (getattr(verdict, name).argmax(dim=1) == truth)[truth >= 0]
        assert right.float().mean() >= 0.9, name


def test_a_batch_holds_what_its_labels_say():
    frames, labels = draw_batch(seed=3, step=2, size=48)
    again, _ = draw_batch(seed=3, step=2, size=48)
    assert torch.equal(frames, again)
    assert not torch.equal(frames, draw_batch(seed=3, step=3, size=48)[0])
    empty = labels.shape < 0
    assert 0 < empty.sum() < 16
    assert torch.equal(empty, labels.colour < 0)
    assert torch.equal(empty, ~labels.mask.any(dim=(1, 2)))
    for frame, mask, colour in zip(frames[~empty], labels.mask[~empty], labels.colour[~empty], strict=True):
        paint = torch.tensor(scenes.COLOURS[CLASSES["colour"][int(colour)]]) / 255
        torch.testing.assert_close(frame[:, mask].median(dim=1).values, paint)


def test_distortion_keeps_the_range_and_blurs_the_last_quarter_most():
    board = (torch.arange(64)[:, None] + torch.arange(64)) % 2  # the finest pattern there is
    frames = board.float().expand(8, 3, 64, 64)
    distorted = judging.distort(frames, torch.Generator().manual_seed(0))
    assert distorted.min() >= 0
    assert distorted.max() <= 1
    contrast = distorted.std(dim=(1, 2, 3))
    assert contrast[:2].min() > 0.35
    assert contrast[-2:].max() < 0.1


@pytest.mark.slow
def test_training_lowers_the_loss_on_frames_it_has_seen():
    torch.manual_seed(0)
    judge = Judge()
    frames, labels = draw_batch(seed=0, step=0, size=32)

    def loss() -> float:
        with torch.no_grad():
            return float(judge_loss(judge.train()(frames), labels))

    before = loss()
    losses = list(judging.train(judge, judging.new_optimizer(judge), 12, batch=32, seed=0))
    assert [progress.step for progress in losses] == list(range(1, 13))
    assert not judge.training
    assert loss() < before - 0.1


@pytest.mark.slow
def test_a_resumed_training_ends_where_an_unbroken_one_does(tmp_path: Path):
    def fresh() -> tuple[Judge, torch.optim.Optimizer]:
        torch.manual_seed(0)
        judge = Judge()
        return judge, judging.new_optimizer(judge)

    unbroken, optimizer = fresh()
    list(judging.train(unbroken, optimizer, 4, batch=8))
    first, optimizer = fresh()
    steps = judging.train(first, optimizer, 4, batch=8)
    next(steps), next(steps)
    save_checkpoint(tmp_path / "judge.checkpoint", 2, {"judge": first}, {"adamw": optimizer})
    second, optimizer = fresh()
    done = load_checkpoint(tmp_path / "judge.checkpoint", {"judge": second}, {"adamw": optimizer})
    list(judging.train(second, optimizer, 4, first=done, batch=8))
    for key, value in unbroken.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key


def test_saved_weights_load_to_the_same_answers(tmp_path: Path):
    judge = Judge().eval()
    judging.save_judge(judge, tmp_path / "judge.safetensors")
    assert (tmp_path / "judge.safetensors").stat().st_size < 2**20
    assert [path.name for path in tmp_path.iterdir()] == ["judge.safetensors"]
    frames = torch.rand(2, 3, 64, 64)
    loaded = load_judge(tmp_path / "judge.safetensors")
    torch.testing.assert_close(loaded(frames).mask, judge(frames).mask, atol=0.02, rtol=0)


def test_weights_that_cannot_be_written_leave_nothing_behind(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        judging.save_judge(Judge(), tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("options", [["--steps", "0"], ["--output", "missing/judge.safetensors"], ["--output", "."]])
def test_the_command_refuses_in_one_line(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["judge", *options])
    with pytest.raises(SystemExit) as refusal:
        judging.main()
    assert refusal.value.code == 2
    assert "error:" in capsys.readouterr().err.splitlines()[-1]


def test_the_command_trains_resumes_and_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    torch.manual_seed(0)
    begun = Judge()
    optimizer = judging.new_optimizer(begun)
    list(judging.train(begun, optimizer, 1, batch=8))
    save_checkpoint(tmp_path / "judge.checkpoint", 1, {"judge": begun}, {"adamw": optimizer})
    output = tmp_path / "judge.safetensors"
    monkeypatch.setattr(sys, "argv", ["judge", "--steps", "1", "--output", str(output)])
    monkeypatch.setattr(judging, "SHOWN", (("clips", 1, False), ("frames", 1, True)))
    judging.main()
    assert [path.name for path in tmp_path.iterdir()] == ["judge.safetensors"]
    assert torch.equal(load_judge(output).state_dict()["to_middle.bias"], begun.to_middle.bias.half().float())
    assert capsys.readouterr().out.count("centre_error") == 2


@pytest.mark.slow
def test_a_judge_of_things_that_have_names_learns_and_is_read_again(tmp_path: Path):
    frames, labels = judging.draw_batch(1, 0, 32, NAMED_WORLD)
    assert frames.shape == (32, 3, 64, 64)
    assert int(labels.shape.max()) >= len(SHAPES)
    assert int(labels.pattern.max()) >= len(scenes.PATTERNS)
    assert labels.mask[labels.shape >= 0].flatten(1).any(dim=1).all()
    judge = Judge(NAMED_CLASSES)
    for _ in judging.train(judge, judging.new_optimizer(judge), 2, batch=8, world=NAMED_WORLD):
        pass
    judging.save_judge(judge, tmp_path / "judge.safetensors")
    again = load_judge(tmp_path / "judge.safetensors", NAMED_CLASSES)
    assert 0 <= judging.measure(again, 2, world=NAMED_WORLD).shape <= 1
    with pytest.raises(ModelError):
        load_judge(tmp_path / "judge.safetensors")
