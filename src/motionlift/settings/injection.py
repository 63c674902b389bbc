"""What can be set of injection: what can be of every method that guides."""

from motionlift.core.method_settings import Guided

SETTINGS = Guided
