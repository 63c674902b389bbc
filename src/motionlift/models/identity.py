"""What tells one model from another: hashes of the settings that decide sizes and meaning, and of a sample of the weights."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from motionlift.models.offloading import reading
from motionlift.models.quantized import within

SAMPLED_VALUES = 64
"""About so many values of every weight, evenly spread, tell models of one configuration apart (ours)."""

SCHEDULER_FIELDS = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "rescale_betas_zero_snr",
    "snr_shift_scale",
    "set_alpha_to_one",
    "prediction_type",
)
"""What diffusers' DDIM schedulers are told that decides how noisy a timestep is and what the network's output means. Which
timesteps a run visits is a matter of sampling."""


def identity_of(fields: Mapping[str, Sequence[str]], configs: Mapping[str, Mapping[str, Any]]) -> str:
    """Hash of the settings of a model's parts that decide whether a motion fits it.

    Whatever else a configuration says counts for nothing, so that a library may add settings. A setting that is missing counts
    as None.

    Args:
        fields: for each part, such as ``network``, the names of its settings that count.
        configs: the configuration of each of these parts.

    Returns:
        64 hexadecimal digits.
    """
    return digest({part: {name: configs[part].get(name) for name in names} for part, names in fields.items()})


def former_identity(*configs: Mapping[str, Any]) -> str:
    """What version 0.1 wrote into motion files: a hash of the whole configurations of network, autoencoder and scheduler."""
    return digest(*configs)


def digest(*parts: Any) -> str:
    """Hash of JSON-like parts; the private entries that name files and versions do not count."""
    plain = [
        {key: value for key, value in part.items() if not key.startswith("_")} if isinstance(part, Mapping) else part
        for part in parts
    ]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def sample_of(part: nn.Module) -> str:
    """Hash of some values of every weight of a module: even a fine-tuning of a few layers changes it."""
    hashed, read = hashlib.sha256(), reading(part)
    for own in (own for weights in part.state_dict(keep_vars=True).values() for own in within(read(weights))):
        values = own.reshape(-1)
        hashed.update(values[:: max(1, len(values) // SAMPLED_VALUES)].float().cpu().numpy().tobytes())
    return hashed.hexdigest()
