"""What the package is called with is checked while tests run: types of all, shapes of arrays."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.core.lattice import Lattice
from tests.annotations import check, checked

Latents = Float[Tensor, "frames size"]


def named(count: int, names: Mapping[str, float]) -> str | None:
    return None if count else names  # type: ignore


def alike(first: Latents, second: Mapping[str, list[Latents]]) -> Latents:
    return first[:, :1] if second else first


def asked(question: Callable[[Latents], int], first: Latents) -> None:
    pass


def items(count: int) -> Iterator[int]:
    yield from range(count)


@dataclass(frozen=True)
class Named:
    name: str
    about: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    first: Latents
    second: Latents | None = None


@dataclass(frozen=True)
class Longer(Named):
    length: float = 0


class Own(Named):
    """It takes the other's fields."""


def of(made: Any) -> Any:
    return checked(typechecker=check)(made)


FRAMES = torch.zeros(3, 4)


@pytest.mark.parametrize(
    ("made", "given"),
    [
        (named, ("1", {})),
        (named, (1.5, {})),
        (named, (1, {"a": "b"})),
        (named, (0, {"a": 1})),
        (alike, (FRAMES, {"a": [torch.zeros(3, 5)]})),
        (alike, (FRAMES, {"a": [torch.zeros(2, 4)]})),
        (alike, (FRAMES.int(), {})),
        (alike, (FRAMES, {"a": [FRAMES]})),
        (asked, (3, FRAMES)),
        (asked, (len, FRAMES[0])),
        (items, ("1",)),
        (Named, (1,)),
        (Named, ("a", {"b": "c"})),
        (Longer, ("a", {}, "b")),
        (Own, (1,)),
        (Pair, (FRAMES, torch.zeros(4, 3))),
        (Pair, (FRAMES[0],)),
    ],
)
def test_what_does_not_fit_is_refused(made: Any, given: tuple[Any, ...]):
    with pytest.raises(Exception, match=r"(?i)type|violates"):
        of(made)(*given)


def test_what_fits_is_taken():
    assert of(named)(1, {"a": 1}) is None
    assert of(alike)(FRAMES, {}) is FRAMES
    assert of(asked)(len, FRAMES) is None
    assert list(of(items)(2)) == [0, 1]
    assert of(Named)("a").about == {} and of(Longer)("a", length=1).length == 1
    assert of(Pair)(FRAMES).second is None


def test_the_package_is_checked():
    with pytest.raises(Exception, match="violates"):
        Lattice(frames="2", height=1, width=1)  # type: ignore
