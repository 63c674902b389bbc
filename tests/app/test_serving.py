"""Nobody else reaches the page without a password."""

from pathlib import Path

import pytest

from motionlift.app.serving import Serving
from motionlift.cli import main
from motionlift.errors import SettingError
from motionlift.motion.lock import held


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"host": "0.0.0.0"}, "with --host 0.0.0.0 others reach the page; give --password"),
        ({"share": True}, "with --share others reach the page"),
        ({"share": True, "password": "short"}, "at least 8"),
        ({"port": 0}, "--port is 0"),
    ],
)
def test_what_lets_anybody_in_is_refused(changes, message):
    with pytest.raises(SettingError, match=message):
        Serving(**changes).check()


def test_what_is_safe_is_not():
    for serving in (Serving(), Serving(host="localhost"), Serving(host="0.0.0.0", password="long enough")):
        serving.check()


def test_only_this_machine_reaches_it():
    others = Serving(host="0.0.0.0", password="long enough"), Serving(share=True, password="long enough")
    assert [each.is_private for each in (Serving(), Serving(host="localhost"), *others)] == [True, True, False, False]


def test_a_folder_that_is_served_already_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Another program would tell that what is being made was stopped."""
    with held(tmp_path):
        assert main.run(["app", "--data", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "another run is at work in" in told and not (tmp_path / "history.sqlite").exists()


def test_it_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main.run(["app", "--host", "0.0.0.0", "--data", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1 and not list(tmp_path.iterdir())
