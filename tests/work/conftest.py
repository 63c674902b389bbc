"""A twin and a motion lifted with it."""

import pytest

from motionlift.core.model import Model
from motionlift.models.loading import load
from motionlift.motion.file import Motion
from motionlift.work.lift import lift
from tests.twins import cogvideox
from tests.work.trials import QUICK, a_clip


@pytest.fixture(scope="module")
def model() -> Model:
    """A twin."""
    return load(cogvideox(), "cpu")


@pytest.fixture(scope="module")
def motion(model: Model) -> Motion:
    """A motion lifted with it."""
    return lift(a_clip(), model, settings=QUICK, cached=False)
