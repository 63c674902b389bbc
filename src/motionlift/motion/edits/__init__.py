"""Edits of a motion, one file each.

A file joins by defining ``EDIT``: how places and vectors change (:class:`motionlift.core.edit.Edit`). Which axes of a tensor are
places or vectors is in the table of :mod:`motionlift.motion.names`; which tensors may be changed so, a method says
(:meth:`motionlift.core.method.Method.edited`).
"""

import importlib
import pkgutil
from collections.abc import Sequence

from torch import Tensor

from motionlift.core.edit import Edit
from motionlift.core.lattice import Lattice, halved
from motionlift.core.tensors import INVERTED, Tensors
from motionlift.errors import MotionError, SettingError
from motionlift.motion.names import LATENTS, Name


def edits() -> dict[str, Edit]:
    """Every edit by its name."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return {module.EDIT.name: module.EDIT for module in modules if hasattr(module, "EDIT")}


def edit_named(name: str) -> Edit:
    """The edit of a name.

    Raises:
        SettingError: there is none.
    """
    known = edits()
    if name not in known:
        raise SettingError(f"unknown edit {name!r}; allowed are {', '.join(sorted(known))}")
    return known[name]


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
    """
    return {name: _moved(name, tensor, edit, (LATENTS, INVERTED, *words), lattice) for name, tensor in tensors.items()}


def _moved(name: str, tensor: Tensor, edit: Edit, words: Sequence[str], lattice: Lattice) -> Tensor:
    parsed = Name.parsed(name)
    if parsed.word not in words or parsed.kind is None or parsed.kind.axes is None:
        raise MotionError(
            f"the motion holds {name}, which {edit.name} cannot change: edit the motion before that is made"
        )
    axes = parsed.kind.axes.split()
    if "token" in axes:
        axis = axes.index("token")
        own = _lattice_of(name, tensor.shape[axis], lattice)
        spread = tensor.unflatten(axis, (own.height, own.width)).movedim((axis, axis + 1), (-2, -1))
        tensor = edit.places(spread).movedim((-2, -1), (axis, axis + 1)).flatten(axis, axis + 1)
    elif axes[-2:] in (["h", "w"], ["row", "column"]):
        tensor = edit.places(tensor)
    return edit.vectors(tensor) if axes[-1] == "2" else tensor


def _lattice_of(name: str, tokens: int, finest: Lattice) -> Lattice:
    for own in halved(finest):
        if own.area == tokens:
            return own
    raise MotionError(f"the motion holds {name} of {tokens} tokens, which its lattice {finest} has not: lift it again")
