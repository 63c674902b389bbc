"""A folder is one run's at a time, whoever comes and goes."""

import errno
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from motionlift.errors import OutputError
from motionlift.motion.lock import LOCK, held

OTHER = """
import sys
from pathlib import Path
from motionlift.motion.lock import held
print("asks", flush=True)
with held(Path(sys.argv[1]), wait=sys.argv[2] == "wait"):
    print("in", flush=True)
    sys.stdin.read()
"""


def other(path: Path, wait: str = "at once") -> subprocess.Popen[str]:
    """Another process that holds a folder until its input ends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", OTHER, str(path), wait], text=True, **pipes)


def test_a_folder_is_made_held_and_left_as_it_was(tmp_path: Path):
    with held(tmp_path / "some" / "run"):
        assert (tmp_path / "some" / "run" / LOCK).exists()
    assert list((tmp_path / "some").iterdir()) == [], "one that was made and stays empty goes"
    (tmp_path / "some" / "run").mkdir()
    with held(tmp_path / "some" / "run"):
        pass
    assert list((tmp_path / "some" / "run").iterdir()) == []
    with held(tmp_path / "other"):
        (tmp_path / "other" / "kept").touch()
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["kept"]


@pytest.mark.slow
def test_another_process_is_refused_or_waits(tmp_path: Path):
    with held(tmp_path):
        _, told = other(tmp_path).communicate(timeout=300)
        assert f"another run is at work in {tmp_path}; wait for it, or give another folder" in told
        waiting = other(tmp_path, "wait")
        assert waiting.stdout is not None and waiting.stdout.readline() == "asks\n"
        time.sleep(0.5)
        assert waiting.poll() is None and not select.select([waiting.stdout], [], [], 0)[0], "it waits"
    assert waiting.stdout.readline() == "in\n"
    with pytest.raises(OutputError, match="another run is at work"), held(tmp_path):
        raise AssertionError("it began")
    waiting.communicate(timeout=300)
    assert waiting.returncode == 0
    with held(tmp_path):
        pass


def test_a_process_that_is_killed_holds_nothing(tmp_path: Path):
    killed = other(tmp_path)
    assert killed.stdout is not None and [killed.stdout.readline() for _ in range(2)] == ["asks\n", "in\n"]
    killed.kill()
    killed.communicate(timeout=300)
    with held(tmp_path):
        pass


def test_it_is_left_when_something_goes_wrong(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), held(tmp_path):
        raise KeyboardInterrupt
    with held(tmp_path):
        pass


def test_never_two_where_folders_come_and_go(tmp_path: Path):
    """Each one that was waiting finds a folder that another has just removed."""
    path, inside, rounds = tmp_path / "run", [], []

    def work() -> None:
        for _ in range(8):
            with held(path, wait=True):
                inside.append(1)
                assert len(inside) == 1 and not (path / "mine").exists()
                (path / "mine").mkdir()
                (path / "mine").rmdir()
                rounds.append(1)
                inside.pop()
            try:
                path.rmdir()
            except OSError:
                continue

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(rounds) == 32 and inside == []


def test_a_folder_that_is_removed_while_it_is_made_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made, calls = Path.mkdir, []

    def removed_once(path: Path, *given: Any, **named: Any) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        made(path, *given, **named)

    monkeypatch.setattr(Path, "mkdir", removed_once)
    with held(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()
    for make in (lambda path: path.touch(), lambda path: path.symlink_to(tmp_path / "nowhere")):
        make(tmp_path / "other")
        with pytest.raises(OutputError, match=r"cannot write to .*other: File exists"), held(tmp_path / "other"):
            raise AssertionError("it began")
        (tmp_path / "other").unlink()


def test_a_file_with_the_name_of_the_lock_that_is_not_ours_stays(tmp_path: Path):
    (tmp_path / "run").mkdir()
    lock = tmp_path / "run" / LOCK
    (tmp_path / "empty").touch()
    for make in (lambda: lock.write_text("mine"), lambda: lock.symlink_to(tmp_path / "empty"), lock.mkdir):
        make()
        with pytest.raises(OutputError, match=r"no lock that motionlift wrote"), held(tmp_path / "run"):
            raise AssertionError("it began")
        assert lock.is_symlink() or lock.is_dir() or lock.read_text() == "mine"
        lock.rmdir() if lock.is_dir() else lock.unlink()
    lock.touch()  # as a run that was killed leaves it
    (tmp_path / "run" / ".lock").write_text("mine")
    with held(tmp_path / "run"):
        pass
    assert [own.name for own in (tmp_path / "run").iterdir()] == [".lock"], "another program's is nothing to us"


@pytest.mark.parametrize("name", ["file", "file/run"])
def test_places_that_cannot_be_held(tmp_path: Path, name: str):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write to .*; give another folder"), held(tmp_path / name):
        raise AssertionError("it began")
