"""Files of a visitor stay in the visitor's folder, whatever they are called."""

from pathlib import Path

import pytest

from motionlift.app.workspace import DRAWN, MOTION, REFERENCE, Workspace, new_token, plain_name
from motionlift.errors import InputError


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\clip one.mp4", "clip one.mp4"),
        ("<img src=x onerror=alert(1)>.gif", "img src-x onerror-alert-1-.gif"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("a\0b\nc", "a-b-c"),
        ("Bär.mp4", "Bär.mp4"),
        ("x" * 500, "x" * 60),
    ],
)
def test_names_are_plain(given: str, name: str):
    assert plain_name(given) == name


def test_places_are_free_and_inside(tmp_path: Path):
    own = Workspace.of(tmp_path, new_token())
    first = own.new("../star", ".mp4")
    first.touch()
    second = own.new("star", ".mp4")
    assert (first.name, second.name) == ("star.mp4", "star-2.mp4")
    assert first.parent == second.parent == own.folder
    assert own.kept("star.mp4") == first.resolve()


@pytest.mark.parametrize(
    "name", ["../other/star.mp4", "/etc/passwd", "", ".", "nothing.mp4", "../secret.txt", "a" * 300, "nul\0"]
)
def test_nothing_else_is_reached(tmp_path: Path, name: str):
    own, other = Workspace(tmp_path / "own"), Workspace(tmp_path / "other")
    own.new("star", ".mp4").touch()
    other.new("star", ".mp4").touch()
    (tmp_path / "secret.txt").touch()
    with pytest.raises(InputError, match="no file of yours"):
        own.kept(name)


def test_a_link_out_of_the_folder_is_no_file_of_it(tmp_path: Path):
    own = Workspace(tmp_path / "own")
    (tmp_path / "secret.txt").touch()
    own.new("star", ".mp4").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(InputError, match="no file of yours"):
        own.kept("star.mp4")


def test_a_motion_goes_with_its_pictures(tmp_path: Path):
    own = Workspace(tmp_path)
    long = own.new("x" * 60, MOTION)
    first = own.new("star", MOTION)
    for place in (long, first):
        for kind in ("", DRAWN, REFERENCE):
            (place.with_name(place.stem + kind) if kind else place).touch()
    assert own.new("star", MOTION).name == "star-2.safetensors"
    moved = own.rename("star.safetensors", "sun")
    assert moved == {f"star{kind}": f"sun{kind}" for kind in (MOTION, DRAWN, REFERENCE)}
    own.remove(long.name)
    assert sorted(place.name for place in tmp_path.iterdir()) == sorted(moved.values())
    (tmp_path / "sun.safetensors").unlink()
    assert own.new("sun", MOTION).name == "sun-2.safetensors", "what lies there is no picture of another motion"


def test_a_place_is_given_once(tmp_path: Path):
    """Whoever comes meanwhile, by another way too, gets another, and so do pictures of motions."""
    own = Workspace(tmp_path)
    (tmp_path / "walk.safetensors").write_text("the walk")
    with own.placed("jump", MOTION) as lift, Workspace(tmp_path).placed("jump", MOTION) as other:
        assert (lift.name, other.name) == ("jump.safetensors", "jump-2.safetensors")
        assert own.new("jump drawn", ".mp4").name == "jump drawn-2.mp4"
        assert own.rename("walk.safetensors", "jump") == {"walk.safetensors": "jump-3.safetensors"}
        lift.write_text("the lift")
    assert (tmp_path / "jump-3.safetensors").read_text() == "the walk"
    assert own.new("jump", MOTION).name == "jump-2.safetensors", "what was not used is free again"


@pytest.mark.parametrize("token", ["", "../..", "A" * 32, "0" * 31])
def test_a_token_is_a_token(tmp_path: Path, token):
    with pytest.raises(InputError, match="load it again"):
        Workspace.of(tmp_path, token)
    assert new_token() not in str(Workspace.of(tmp_path, new_token()).folder)
