"""Weights of the twins' text encoders that numbers were frozen with: versions of transformers draw others of one seed.

Run as a program, it writes those of the versions that are installed: ``python -m tests.twins.settled``. All frozen numbers change
with them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

WEIGHTS = Path(__file__).with_suffix(".safetensors")
"""Where they lie: by the twin's name and their order, since versions name them otherwise too."""


@torch.no_grad()
def settled(build: Callable[[], Any], name: str) -> Any:
    """A twin's pipeline whose text encoder has the weights of that twin."""
    pipeline, weights = build(), load_file(WEIGHTS)
    for number, tensor in enumerate(pipeline.text_encoder.state_dict().values()):
        tensor.copy_(weights[f"{name}.{number}"])
    return pipeline


if __name__ == "__main__":
    from tests.twins import DRAWN

    kept = {
        f"{name}.{number}": tensor.clone()
        for name, build in DRAWN.items()
        for number, tensor in enumerate(build().text_encoder.state_dict().values())
    }
    save_file(kept, WEIGHTS)
