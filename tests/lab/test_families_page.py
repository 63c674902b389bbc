import json
from dataclasses import asdict

import diffusers
import pytest

from lab.families_page import FOUND, PACKAGED, PAGE, TAKEN, kept, packaged, page
from lab.memory import of_published
from motionlift.models.facts import served
from motionlift.models.families import families
from motionlift.models.unserved import NOT_SERVED
from tests.twins import PICTURED, TRANSFORMERS
from tests.twins.wide import WIDE

TWINS = (*TRANSFORMERS, *(f"{name}, a picture" for name in PICTURED))


def test_the_page_says_what_was_found_and_what_the_families_say():
    assert PAGE.read_text(encoding="utf-8") == page(kept(FOUND), kept(TAKEN)), (
        "write it anew: python -m lab.families_page --again"
    )


def test_the_page_has_a_line_for_each_family_twin_and_published_model():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for name in (*families(), *TWINS, *WIDE):
        assert any(line.startswith(f"| {name} |") for line in lines), name
    assert sum(line.startswith("|---") for line in lines) == 5


def test_every_twin_was_tried_and_held_its_bounds():
    found = {own["twin"]: own for own in kept(FOUND)}
    assert found.keys() == set(TWINS)
    for own in found.values():
        assert own["video"] < 1e-5 and own["recomputed"] < 1e-5
        assert own["guided"] < (1e-4 if own["family"] == "kandinsky5" else 1e-5)
        assert own["slope"] < (0.03 if own["family"] == "kandinsky5" else 0.01)
        assert own["trips"][1] < own["trips"][0]


def test_memory_is_of_every_published_model():
    takes = kept(TAKEN)
    assert [own["model"] for own in takes] == list(WIDE)
    counted = [own for own in takes if "weights" in own]
    assert len(counted) >= len(WIDE) - 2 and all(0 < own["sampled"] < own["guided"] for own in counted)


@pytest.mark.slow
def test_memory_is_counted_as_it_was():
    (own,) = [own for own in kept(TAKEN) if own["model"] == "wan-2.1-1.3b"]
    assert asdict(of_published("wan-2.1-1.3b")) == pytest.approx(
        {key: own[key] for key in ("weights", "sampled", "guided")}, rel=0.02
    )


def test_facts_are_of_every_family():
    assert {facts.family for facts in served()} == families().keys()


def test_what_is_not_served_is_there_in_diffusers():
    served_names = {name for family in families().values() for name in family.pipelines}
    for name in (name for names in NOT_SERVED for name in names):
        assert hasattr(diffusers, name), name
        assert name not in served_names or NOT_SERVED[(name,)].startswith("with ")


def test_the_package_has_the_memory_that_was_counted():
    assert json.loads(PACKAGED.read_text(encoding="utf-8")) == packaged(kept(FOUND), kept(TAKEN))
