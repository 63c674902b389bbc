"""A motion stays with its model: what a library adds to a configuration changes nothing, what decides sizes does."""

import pytest
import torch
from diffusers import DDIMScheduler
from torch import nn

from motionlift.models.identity import SCHEDULER_FIELDS, former_identity, identity_of, sample_of

FIELDS = {"network": ("layers", "heads", "base"), "codec": ("scale",)}
CONFIGS = {
    "network": {"layers": 3, "heads": [2, 4], "dropout": 0.0, "_version": "0.42"},
    "codec": {"scale": 0.5},
}


def test_a_setting_more_orphans_nothing():
    more = {part: {**config, "brand_new": True} for part, config in CONFIGS.items()}
    assert identity_of(FIELDS, more) == identity_of(FIELDS, CONFIGS)
    assert former_identity(*more.values()) != former_identity(*CONFIGS.values()), "which it did"


def test_a_setting_that_was_left_out_is_none():
    named = {**CONFIGS, "network": {**CONFIGS["network"], "base": None}}
    assert identity_of(FIELDS, named) == identity_of(FIELDS, CONFIGS)


def test_lists_and_tuples_are_one_setting():
    """A configuration from a file has lists where one from Python has tuples."""
    tuples = {**CONFIGS, "network": {**CONFIGS["network"], "heads": (2, 4)}}
    assert identity_of(FIELDS, tuples) == identity_of(FIELDS, CONFIGS)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [("network", "layers", 4), ("network", "heads", [4, 2]), ("network", "base", 10), ("codec", "scale", 0.25)],
)
def test_a_setting_that_counts_makes_another_model(part: str, name: str, value: object):
    assert identity_of(FIELDS, {**CONFIGS, part: {**CONFIGS[part], name: value}}) != identity_of(FIELDS, CONFIGS)


def test_settings_of_one_name_belong_to_their_part():
    fields = {"network": ("scale",), "codec": ("scale",)}
    one = identity_of(fields, {"network": {"scale": 1}, "codec": {"scale": 2}})
    assert one != identity_of(fields, {"network": {"scale": 2}, "codec": {"scale": 1}})


def test_the_former_identity_is_what_version_0_1_wrote():
    """Computed by that version's program."""
    told = former_identity({"a": 1, "_class_name": "X"}, {"b": [2, None]})
    assert told == "493cdb60e7596b116e5c258da022a779d251f776c0abe474a535535a8cb54396"


def test_diffusers_schedulers_name_the_fields():
    """A name that none of them knows would always count as missing."""
    known = set(DDIMScheduler().config) | {"snr_shift_scale"}
    assert set(SCHEDULER_FIELDS) <= known


def test_a_sample_of_the_weights_tells_fine_tuned_ones_apart():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
    before = sample_of(network)
    assert sample_of(network) == before
    network[1].weight.data[0, 0] += 1e-3
    assert sample_of(network) != before
