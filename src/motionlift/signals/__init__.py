"""Motion signals: pure tensor maths that knows no model and no method."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Lattice(Protocol):
    """The lattice of video tokens, in frame-row-column order; :class:`motionlift.core.lattice.Lattice` is one."""

    @property
    def frames(self) -> int:
        """Latent frames."""
        ...

    @property
    def height(self) -> int:
        """Token rows in a frame."""
        ...

    @property
    def width(self) -> int:
        """Token columns in a frame."""
        ...
