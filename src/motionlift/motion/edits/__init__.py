"""Edits of a motion, one file each.

A file joins by a function ``edit``, which is given the amounts of the edit and makes it: how places and vectors change
(:class:`motionlift.core.edit.Edit`); and by a row in :mod:`motionlift.core.edit_names`. Which axes of a tensor are places or
vectors is in the table of :mod:`motionlift.motion.names`; which tensors may be changed so, a method says
(:meth:`motionlift.core.method.Method.edited`).
"""

import importlib
from collections.abc import Sequence

import torch
from torch import Tensor

from motionlift.core.edit import Edit
from motionlift.core.edit_names import read_edit
from motionlift.core.lattice import Lattice, halved
from motionlift.core.tensors import INVERTED, Tensors
from motionlift.errors import MotionError, SettingError
from motionlift.motion.names import LATENTS, Name

PLACES = (["h", "w"], ["row", "column"])
"""Names of the last two axes of what is laid out by places."""


def edit_named(text: str) -> Edit:
    """The edit that is written so, such as ``mirror`` or ``move=0.25,0``.

    Raises:
        SettingError: there is none, or it takes other amounts.
    """
    name, amounts = read_edit(text)
    return importlib.import_module(f"{__name__}.{name}").edit(*amounts)


def moved(tensors: Tensors, edit: Edit, words: Sequence[str], lattice: Lattice) -> dict[str, Tensor]:
    """A motion's tensors with their places and vectors edited.

    Latents and inverted noise are taken to lie where the picture does, which is true of an autoencoder and a network only as far
    as they treat left and right, or up and down, alike: what comes of them is near what the edited video would give, not equal.

    Args:
        tensors: by name.
        edit: the edit.
        words: of names, beside latents and inverted noise: fields that follow places, of the model's tokens or of words' maps.
        lattice: the finest of the model; fields of a UNet's blocks have it halved.

    Raises:
        MotionError: there is a tensor of another word, or of another lattice.
        SettingError: the edit changes no place and no way.
    """
    known = {name: _parsed(name, edit, (LATENTS, INVERTED, *words)) for name in tensors}
    grids = [
        grid for name, tensor in tensors.items() if (grid := _grid(name, tensor, known[name], lattice)) is not None
    ]
    if grids and edit.rounded is not None:
        coarsest = min(grids)  # by whole places of it, so that all fields are moved as far
        edit = edit.rounded(*coarsest)
        _check_changes(edit, *coarsest)
    return {name: _moved(name, tensor, edit, known[name], lattice) for name, tensor in tensors.items()}


def _check_changes(edit: Edit, rows: int, columns: int) -> None:
    places = torch.arange(float(rows * columns)).reshape(rows, columns)
    if torch.equal(edit.places(places), places):
        raise SettingError(
            f"{edit.name} changes nothing: this motion knows {rows} rows and {columns} columns of places, and moves by whole ones"
        )


def _parsed(name: str, edit: Edit, words: Sequence[str]) -> Name:
    parsed = Name.parsed(name)
    if parsed.word not in words or parsed.kind is None or parsed.kind.axes is None:
        raise MotionError(
            f"the motion holds {name}, which {edit.name} cannot change: edit the motion before that is made"
        )
    return parsed


def _axes(parsed: Name) -> list[str]:
    """The names of a tensor's axes."""
    assert parsed.kind is not None and parsed.kind.axes is not None
    return parsed.kind.axes.split()


def _grid(name: str, tensor: Tensor, parsed: Name, lattice: Lattice) -> tuple[int, int] | None:
    """Rows and columns of a tensor's places; none of one without."""
    axes = _axes(parsed)
    if "token" in axes:
        own = _lattice_of(name, tensor.shape[axes.index("token")], lattice)
        return own.height, own.width
    return (tensor.shape[-2], tensor.shape[-1]) if axes[-2:] in PLACES else None


def _moved(name: str, tensor: Tensor, edit: Edit, parsed: Name, lattice: Lattice) -> Tensor:
    axes, grid = _axes(parsed), _grid(name, tensor, parsed, lattice)
    places = edit.noise if parsed.word == INVERTED else edit.places
    if "token" in axes and grid is not None:
        axis = axes.index("token")
        spread = tensor.unflatten(axis, grid).movedim((axis, axis + 1), (-2, -1))
        tensor = places(spread).movedim((-2, -1), (axis, axis + 1)).flatten(axis, axis + 1)
    elif grid is not None:
        tensor = places(tensor)
    return edit.vectors(tensor) if axes[-1] == "2" else tensor


def _lattice_of(name: str, tokens: int, finest: Lattice) -> Lattice:
    for own in halved(finest):
        if own.area == tokens:
            return own
    raise MotionError(f"the motion holds {name} of {tokens} tokens, which its lattice {finest} has not: lift it again")
