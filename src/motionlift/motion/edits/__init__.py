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
    _check_changes(edit, lattice)
    return {name: _moved(name, tensor, edit, (LATENTS, INVERTED, *words), lattice) for name, tensor in tensors.items()}


def _check_changes(edit: Edit, lattice: Lattice) -> None:
    places, way = torch.arange(float(lattice.area)).reshape(lattice.height, lattice.width), torch.ones(1, 2)
    if torch.equal(edit.places(places), places) and torch.equal(edit.vectors(way), way):
        raise SettingError(
            f"{edit.name} changes nothing: this motion knows {lattice.height} rows and {lattice.width} columns of places, and "
            "moves by whole ones"
        )


def _moved(name: str, tensor: Tensor, edit: Edit, words: Sequence[str], lattice: Lattice) -> Tensor:
    parsed = Name.parsed(name)
    if parsed.word not in words or parsed.kind is None or parsed.kind.axes is None:
        raise MotionError(
            f"the motion holds {name}, which {edit.name} cannot change: edit the motion before that is made"
        )
    axes = parsed.kind.axes.split()
    places = edit.noise if parsed.word == INVERTED else edit.places
    if "token" in axes:
        axis = axes.index("token")
        own = _lattice_of(name, tensor.shape[axis], lattice)
        spread = tensor.unflatten(axis, (own.height, own.width)).movedim((axis, axis + 1), (-2, -1))
        tensor = places(spread).movedim((-2, -1), (axis, axis + 1)).flatten(axis, axis + 1)
    elif axes[-2:] in (["h", "w"], ["row", "column"]):
        tensor = places(tensor)
    return edit.vectors(tensor) if axes[-1] == "2" else tensor


def _lattice_of(name: str, tokens: int, finest: Lattice) -> Lattice:
    for own in halved(finest):
        if own.area == tokens:
            return own
    raise MotionError(f"the motion holds {name} of {tokens} tokens, which its lattice {finest} has not: lift it again")
