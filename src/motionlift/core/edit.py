"""What an edit of a motion is to the methods."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Edit:
    """A way to change where things are and which way they move: a file in ``motion/edits``, a row in ``core/edit_names.py``."""

    name: str
    """As it is written, with its amounts."""
    places: Callable[[Tensor], Tensor]
    """From a field over places, ``... height width``, to the field after the edit, of the same size."""
    vectors: Callable[[Tensor], Tensor]
    """From vectors in columns and rows, ``... 2``, x then y, to the same vectors after the edit."""
    noise: Callable[[Tensor], Tensor]
    """As ``places``, of noise, which must stay noise: no value may be there twice."""
    rounded: "Callable[[int, int], Edit] | None" = None
    """The edit by whole places of a field of so many rows and columns, where it moves by places: fields of other sizes are then
    moved as far."""
