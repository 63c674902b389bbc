"""The lattice of video tokens, and the size of a video in pixels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lattice:
    """The lattice of video tokens."""

    frames: int
    """Latent frames."""
    height: int
    """Token rows in a frame."""
    width: int
    """Token columns in a frame."""

    @property
    def area(self) -> int:
        """Tokens in one frame."""
        return self.height * self.width

    @property
    def tokens(self) -> int:
        """Tokens in the whole video."""
        return self.frames * self.area

    def __str__(self) -> str:
        return f"{self.frames}x{self.height}x{self.width}"


@dataclass(frozen=True)
class Shape:
    """Size of a video in pixels."""

    frames: int
    """Number of frames."""
    height: int
    """Rows of pixels."""
    width: int
    """Columns of pixels."""

    def __str__(self) -> str:
        return f"{self.frames} frames of {self.width}x{self.height}"


def halved(finest: Lattice) -> list[Lattice]:
    """A lattice and those that a UNet makes of it by halving its sides, odd ones rounded up."""
    grids = [finest]
    while grids[-1].area > 1:
        last = grids[-1]
        grids.append(Lattice(last.frames, -(-last.height // 2), -(-last.width // 2)))
    return grids
