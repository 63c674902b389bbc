import re
from typing import Any

import pytest

from motionlift.core.model import WORDS, checked_model
from motionlift.errors import ModelError
from motionlift.models.loading import load
from motionlift.models.sources import BUNDLED_MODELS


class Half:
    """Has a few of a model's words."""

    about: Any = None
    text: Any = None

    def predict(self) -> None: ...


def test_the_words_of_a_model():
    assert set(WORDS) == {
        *(
            "about",
            "text",
            "codec",
            "network",
            "passes",
            "counted",
            "pictured",
            "saving",
            "turn",
            "rest",
            "schedule",
            "lattice",
        ),
        *("positions", "linear_layers", "predict", "record", "watch", "share", "injecting"),
    }


def test_what_lacks_words_is_refused_and_they_are_named():
    lacking = (
        "codec, network, passes, counted, pictured, saving, turn, rest, schedule, lattice, positions, linear_layers, "
        "record, watch, share, injecting"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(f'Half is no model: it lacks {lacking}')}$"):
        checked_model(Half())


@pytest.mark.parametrize("given", [None, "tiny-dit", 3])
def test_what_is_nothing_like_a_model_is_refused(given: object):
    with pytest.raises(ModelError, match=f"{type(given).__name__} is no model: it lacks about, text, "):
        checked_model(given)


@pytest.mark.parametrize("name", BUNDLED_MODELS)
def test_a_model_is_given_back(name: str):
    model = load(name, "cpu")
    assert checked_model(model) is model and checked_model(model.counted()).about is model.about
