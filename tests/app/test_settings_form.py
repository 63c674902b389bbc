"""Fields are made of a method's own settings: every one that matters, and none twice."""

from dataclasses import fields

import pytest

from motionlift.app.settings_form import CASTING, LIFTING, settings_of
from motionlift.core.settings import with_values
from motionlift.methods import methods


@pytest.mark.parametrize("name", list(methods()))
def test_every_setting_has_a_field(name: str):
    lifting, casting = settings_of(name, LIFTING), settings_of(name, CASTING)
    assert lifting.keys() | casting.keys() == {each.name for each in fields(methods()[name].Settings)}
    for field, about in (lifting | casting).items():
        assert about["help"]
        for choice in about["choices"]:
            with_values(methods()[name].Settings(), {field: choice})
