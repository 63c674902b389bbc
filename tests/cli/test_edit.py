"""Motions that are edited from the command line."""

from pathlib import Path

import pytest
import torch

import motionlift
from motionlift.cli.main import run
from motionlift.motion.file import Motion
from tests.cli.calls import left_behind, refused


@pytest.mark.slow
def test_a_motion_is_edited_in_the_order_of_the_words(motion: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["edit", str(motion), "mirror", "move=0.25,0", "-o", "there.safetensors"]) == 0
    assert "wrote there.safetensors" in capsys.readouterr().out
    found, lifted = Motion.load(Path("there.safetensors")), Motion.load(motion)
    wanted = motionlift.edit(motionlift.edit(lifted, "mirror"), "move=0.25,0")
    assert found.edits == ("mirror", "move=0.25,0")
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in wanted.tensors.items())
    assert not torch.equal(found.tensors["latents"], lifted.tensors["latents"])


@pytest.mark.slow
def test_what_cannot_be_edited_is_refused(motion: Path, clips: Path, capsys: pytest.CaptureFixture[str]):
    own = str(motion)
    assert "allowed are mirror, move=RIGHT,DOWN" in refused(capsys, 1, "edit", own, "turn")
    assert "mirror takes no numbers" in refused(capsys, 1, "edit", own, "mirror=1")
    assert "changes nothing" in refused(capsys, 1, "edit", own, "move=0,0")
    assert "is a video; give a motion file" in refused(capsys, 1, "edit", str(clips / "one.mp4"), "mirror")
    assert "it is the motion itself" in refused(capsys, 1, "edit", own, "mirror", "-o", own)
    Path("there.safetensors").write_bytes(motion.read_bytes())
    assert "there.safetensors" in refused(capsys, 1, "edit", own, "mirror", "-o", "there.safetensors")
    assert left_behind() == ["there.safetensors"]
