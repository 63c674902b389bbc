import diffusers

from lab.families_page import PAGE, kept, page
from motionlift.models.facts import NOT_SERVED, served
from motionlift.models.families import families
from tests.twins import TRANSFORMERS


def test_the_page_says_what_was_found_and_what_the_families_say():
    assert PAGE.read_text(encoding="utf-8") == page(kept()), "write it anew: python -m lab.families_page --again"


def test_every_twin_was_tried_and_held_its_bounds():
    found = {own["twin"]: own for own in kept()}
    assert found.keys() == TRANSFORMERS.keys()
    for own in found.values():
        assert own["video"] < 1e-5 and own["recomputed"] < 1e-5
        assert own["guided"] < (1e-4 if own["family"] == "kandinsky5" else 1e-5)
        assert own["slope"] < (0.03 if own["family"] == "kandinsky5" else 0.01)
        assert own["trips"][1] < own["trips"][0]


def test_facts_are_of_every_family():
    assert {facts.family for facts in served()} == families().keys()


def test_what_is_not_served_is_there_in_diffusers():
    served_names = {name for family in families().values() for name in family.pipelines}
    for name in (name for names in NOT_SERVED for name in names):
        assert hasattr(diffusers, name), name
        assert name not in served_names or NOT_SERVED[(name,)].startswith("with ")
