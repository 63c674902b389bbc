"""What tells one model from another: hashes of configurations and of a sample of the weights."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from torch import nn

SAMPLED_VALUES = 64
"""About so many values of every weight, evenly spread, tell models of one configuration apart (ours)."""


def digest(*parts: Any) -> str:
    """Hash of JSON-like parts; the private entries that name files and versions do not count."""
    plain = [
        {key: value for key, value in part.items() if not key.startswith("_")} if isinstance(part, Mapping) else part
        for part in parts
    ]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def sample_of(part: nn.Module) -> str:
    """Hash of some values of every weight of a module: even a fine-tuning of a few layers changes it."""
    hashed = hashlib.sha256()
    for weights in part.state_dict().values():
        values = weights.detach().reshape(-1)
        hashed.update(values[:: max(1, len(values) // SAMPLED_VALUES)].float().cpu().numpy().tobytes())
    return hashed.hexdigest()
