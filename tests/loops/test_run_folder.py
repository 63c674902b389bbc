"""A run's folder is held, goes on where it was, belongs to one run, and goes when that is done."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from motionlift.errors import MotionError, OutputError
from motionlift.loops.run_folder import Row, RunFolder, opened
from motionlift.motion.lock import LOCK
from motionlift.motion.run_files import CHECKPOINT, LOSSES, MARKER, PREVIEWS
from motionlift.video.clip import Clip
from motionlift.video.sheets import contact_sheet


class Trained:
    """A layer that was trained for some steps."""

    def __init__(self, steps: int = 0):
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 2)
        self.optimizer = torch.optim.AdamW(self.layer.parameters(), lr=0.1)
        for _ in range(steps):
            self.layer(torch.ones(3)).sum().backward()
            self.optimizer.step()
            self.optimizer.zero_grad()

    def save(self, folder: RunFolder, step: int) -> None:
        for number in range(1, step + 1):
            folder.log(Row(number, 1 / number, 0.5))
        folder.save(step, self.layer, self.optimizer, {"more": 7})


def saved(path: Path, step: int, **content: str) -> Trained:
    """A folder with a run of some steps."""
    trained = Trained(step)
    with opened(path, content) as folder:
        trained.save(folder, step)
    return trained


def test_a_run_goes_on_where_it_was(tmp_path: Path):
    before, after = saved(tmp_path / "run", 3, source="a"), Trained()
    with opened(tmp_path / "run", {"source": "a"}) as folder:
        step, about = folder.resume(after.layer, after.optimizer, most=5)
    assert step == 3 and about["more"] == 7
    torch.testing.assert_close(after.layer.state_dict(), before.layer.state_dict(), atol=0, rtol=0)
    with (tmp_path / "run" / LOSSES).open(newline="") as file:
        assert [(row["step"], float(row["loss"])) for row in csv.DictReader(file)] == [
            ("1", 1),
            ("2", 0.5),
            ("3", 1 / 3),
        ]


def test_an_empty_folder_begins_at_nothing(tmp_path: Path):
    trained = Trained()
    with opened(tmp_path / "run", {}) as folder:
        assert folder.resume(trained.layer, trained.optimizer, most=5) == (0, {})


def test_a_run_of_more_steps_is_refused(tmp_path: Path):
    saved(tmp_path / "run", 3)
    trained = Trained()
    with (
        opened(tmp_path / "run", {}) as folder,
        pytest.raises(MotionError, match="a run of 3 steps, and 2 are asked for"),
    ):
        folder.resume(trained.layer, trained.optimizer, most=2)


def test_another_run_is_refused_by_what_differs(tmp_path: Path):
    saved(tmp_path / "run", 1, source="a", method="vmc")
    with (
        pytest.raises(MotionError, match=r"holds another run: its source differ.* give another folder"),
        opened(tmp_path / "run", {"source": "b", "method": "vmc"}),
    ):
        raise AssertionError("it began")


@pytest.mark.parametrize("kept", [0, 40, -1])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, kept: int):
    saved(tmp_path / "run", 1)
    path = tmp_path / "run" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:kept])
    trained = Trained()
    with (
        pytest.raises(MotionError, match=r"is damaged or no checkpoint of this run.*remove it to tune anew"),
        opened(tmp_path / "run", {}) as folder,
    ):
        folder.resume(trained.layer, trained.optimizer, most=5)


@pytest.mark.parametrize("kept", [0, 40, -1])
def test_a_damaged_run_of_the_cache_begins_anew(tmp_path: Path, kept: int):
    saved(tmp_path / "run", 1)
    path, trained = tmp_path / "run" / CHECKPOINT, Trained()
    path.write_bytes(path.read_bytes()[:kept])
    with opened(tmp_path / "run", {}, is_needed=False) as folder:
        assert folder.notices == [f"{path} was damaged; the run begins anew"]
        assert folder.resume(trained.layer, trained.optimizer, most=5) == (0, {})
        assert (tmp_path / "run" / MARKER).exists()


@pytest.mark.slow
def test_two_runs_do_not_share_a_folder(tmp_path: Path):
    other = (
        "import sys; from pathlib import Path; from motionlift.loops import run_folder\n"
        "with run_folder.opened(Path(sys.argv[1]), {}): pass"
    )
    with opened(tmp_path / "run", {}):
        done = subprocess.run([sys.executable, "-c", other, str(tmp_path / "run")], capture_output=True, text=True)
        assert "OutputError: another run is at work in" in done.stderr
    with opened(tmp_path / "run", {}):
        pass
    assert [own.name for own in (tmp_path / "run").iterdir()] == [MARKER]


def test_of_several_processes_the_first_holds_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with opened(tmp_path / "run", {}) as first:
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")
        with opened(tmp_path / "run", {}) as second:
            second.remove()
        assert first.path.exists(), "and it alone removes it"


def test_a_run_that_is_done_leaves_no_folder(tmp_path: Path):
    with opened(tmp_path / "run", {}) as folder:
        Trained(1).save(folder, 1)
        (tmp_path / "run" / PREVIEWS).mkdir()
        clip = Clip.of(torch.zeros(2, 16, 16, 3, dtype=torch.uint8), 8)
        contact_sheet(clip, tmp_path / "run" / PREVIEWS / "000001.png")
        folder.remove()
        assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK], "until then it is held"
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    saved(tmp_path / "run", 2)
    old = (tmp_path / "run" / CHECKPOINT).read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("motionlift.motion.file.save_file", full)
    with pytest.raises(OutputError, match=r"cannot write .*: the disk is full.*; the last checkpoint stays"):
        saved(tmp_path / "run", 3)
    assert (tmp_path / "run" / CHECKPOINT).read_bytes() == old
    with opened(tmp_path / "run", {}, is_needed=False) as folder:
        Trained(3).save(folder, 3)
        Trained(4).save(folder, 4)
        (told,) = folder.notices
    assert "the disk is full" in told and (tmp_path / "run" / CHECKPOINT).read_bytes() == old


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write to .*file"), opened(tmp_path / "file" / "run", {}):
        pass


def contents(path: Path) -> dict[str, bytes]:
    return {str(own.relative_to(path)): own.read_bytes() for own in path.rglob("*") if own.is_file()}


@pytest.mark.parametrize("name", [CHECKPOINT, LOSSES, PREVIEWS, MARKER, LOCK, "checkpoint.partial"])
def test_what_no_run_wrote_is_refused_by_name_and_stays(tmp_path: Path, name: str):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    (tmp_path / "run" / name).write_text("step,loss,seconds\n1,2,3\n")
    before = contents(tmp_path)
    with (
        pytest.raises(OutputError, match=rf"{name} is no.*; give another folder, or remove it"),
        opened(tmp_path / "run", {}),
    ):
        raise AssertionError("it began")
    assert contents(tmp_path) == before


def test_a_run_lies_beside_what_it_does_not_write(tmp_path: Path):
    (tmp_path / "run").mkdir()
    mine = {"notes.txt": b"mine", ".lock": b"mine", "loss.csv.old": b"mine"}
    for name, data in mine.items():
        (tmp_path / "run" / name).write_bytes(data)
    saved(tmp_path / "run", 2)
    with opened(tmp_path / "run", {}) as folder:
        folder.remove()
    assert contents(tmp_path / "run") == mine


def test_a_log_that_somebody_put_into_a_run_is_refused(tmp_path: Path):
    saved(tmp_path / "run", 1)
    (tmp_path / "run" / LOSSES).write_text("day,euros\n1,20\n")
    with pytest.raises(OutputError, match=LOSSES), opened(tmp_path / "run", {}):
        raise AssertionError("it began")
    assert (tmp_path / "run" / LOSSES).read_text() == "day,euros\n1,20\n"


def test_a_run_of_a_version_without_markers_is_gone_on_with(tmp_path: Path):
    saved(tmp_path / "run", 3, source="a")
    (tmp_path / "run" / MARKER).unlink()
    (tmp_path / "run" / ".lock").touch()
    (tmp_path / "run" / "checkpoint.partial").write_bytes(b"half")
    path, after = tmp_path / "run" / CHECKPOINT, Trained()
    with safe_open(path, "pt") as file:
        about = {name: value for name, value in file.metadata().items() if name in ("step", "about")}
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    save_file(tensors, path, about)
    with opened(tmp_path / "run", {"source": "a"}) as folder:
        assert folder.resume(after.layer, after.optimizer, most=5)[0] == 3
        after.save(folder, 3)
    assert (tmp_path / "run" / MARKER).exists()


def test_what_a_kill_left_of_files_goes_when_the_run_goes_on(tmp_path: Path):
    saved(tmp_path / "run", 1)
    left = tmp_path / "run" / ".motionlift-0123456789abcdef.tmp"
    left.write_bytes(b"half")
    with opened(tmp_path / "run", {}):
        assert not left.exists()


@pytest.mark.parametrize("kind", ["link", "hard link"])
def test_links_lead_to_nothing_of_others(tmp_path: Path, kind: str):
    """A link under the name of the checkpoint is followed, so that the file behind it must be a checkpoint."""
    (tmp_path / "run").mkdir()
    (tmp_path / "mine").write_bytes(b"mine")
    if kind == "link":
        (tmp_path / "run" / CHECKPOINT).symlink_to(tmp_path / "mine")
    else:
        (tmp_path / "run" / CHECKPOINT).hardlink_to(tmp_path / "mine")
    with pytest.raises(OutputError, match=CHECKPOINT), opened(tmp_path / "run", {}):
        raise AssertionError("it began")
    assert (tmp_path / "mine").read_bytes() == b"mine"
