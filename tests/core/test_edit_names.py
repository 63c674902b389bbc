"""Edits as they are written."""

import importlib
import pkgutil

import pytest

from motionlift.core.edit_names import EDITS, read_edit, written_edit
from motionlift.errors import SettingError
from motionlift.motion import edits


def test_every_edit_has_a_file_and_every_file_a_row():
    files = {found.name for found in pkgutil.iter_modules(edits.__path__)}
    assert files == EDITS.keys()
    for name, own in EDITS.items():
        written = f"{name}={own.example}" if own.amounts else name
        made = importlib.import_module(f"{edits.__name__}.{name}").edit(*read_edit(written)[1])
        assert made.name == written, "what a motion's file says of it can be typed"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("mirror", ("mirror", ())),
        (" mirror ", ("mirror", ())),
        ("move=0.25,0", ("move", (0.25, 0.0))),
        ("move = -1 , 1e-1", ("move", (-1.0, 0.1))),
    ],
)
def test_it_is_read(text: str, read: tuple[str, tuple[float, ...]]):
    assert read_edit(text) == read


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("miror", r"unknown edit 'miror' \(did you mean mirror\?\); allowed are mirror, move=RIGHT,DOWN"),
        ("", "unknown edit ''; allowed are"),
        ("m" * 10_000, "unknown edit 'm{80}';"),
        ("mirror=1", "'mirror=1' came; mirror takes no numbers: write mirror"),
        ("mirror=", "mirror takes no numbers"),
        ("move", r"'move' came; write move=RIGHT,DOWN with numbers from -1 to 1, .* such as move=0\.25,0"),
        ("move=0.2", "write move=RIGHT,DOWN"),
        ("move=1,2,3", "write move=RIGHT,DOWN"),
        ("move=nan,0", "write move=RIGHT,DOWN"),
        ("move=0,1.5", "write move=RIGHT,DOWN"),
        ("move=a,b", "write move=RIGHT,DOWN"),
    ],
)
def test_another_is_refused_with_what_is_allowed(text: str, told: str):
    with pytest.raises(SettingError, match=told):
        read_edit(text)


@pytest.mark.parametrize("given", [5, None, ("move", 0.25, 0)])
def test_what_is_no_text_is_refused(given: object):
    with pytest.raises(SettingError, match="an edit is text, such as mirror"):
        read_edit(given)


@pytest.mark.parametrize("amounts", [(0.25, 0.0), (0.06250001, -1.0), (1 / 3, 1e-9)])
def test_what_is_written_is_read_as_it_was(amounts: tuple[float, ...]):
    assert read_edit(written_edit("move", *amounts)) == ("move", amounts)
    assert written_edit("mirror") == "mirror" and written_edit("move", 0.25, 0.0) == "move=0.25,0"
