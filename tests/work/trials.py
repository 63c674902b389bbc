"""What is tried in tests of work: a clip, settings that run in no time, passes counted at the network, and refusals."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from motionlift.core.model import Model
from motionlift.video.clip import Clip

QUICK = {"steps": 3, "share": 0.67, "inner": 1, "block": 1}
"""Settings of a guided method."""
TUNED = {"steps": 3, "tuning_steps": 2, "tuning_lr": 0.01, "source_prompt": "a blue ring on the field"}
"""Settings of a method that tunes."""
PROMPT = "a red star on a blue field"


def a_clip(seed: int = 0, frames: int = 9, height: int = 32, width: int = 32, fps: float = 8.0) -> Clip:
    """A bright square that moves over noise."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 90, (frames, height, width, 3), generator=generator, dtype=torch.uint8)
    for number in range(frames):
        left = 2 + number * (width - 14) // max(frames - 1, 1)
        pixels[number, height // 3 : height // 3 + 8, left : left + 8] = 255
    return Clip.of(pixels, fps)


@dataclass
class Counted:
    """How often a network ran."""

    forward: int = 0


@contextmanager
def counting(model: Model) -> Iterator[Counted]:
    """Count passes at the network itself until left, every video of a batch apart."""
    counted = Counted()

    def ran(_module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        latents = next(own for own in (*arguments, *named.values()) if torch.is_tensor(own) and own.ndim == 5)
        counted.forward += len(latents)

    with ExitStack() as stack:
        for network in model.network.values():
            stack.callback(network.register_forward_pre_hook(ran, with_kwargs=True).remove)
        yield counted


def passes(model: Model, act: Callable[[], Any]) -> int:
    """Forward passes that something takes."""
    with counting(model) as counted:
        act()
    return counted.forward


def refusal(kind: type[Exception], act: Callable[[], Any]) -> str:
    """What a refusal says: one printable line."""
    with pytest.raises(kind) as caught:
        act()
    message = str(caught.value)
    assert message.isprintable() and 20 < len(message) < 700, message
    return message
