"""The few errors a user can meet. Each says what came, what is allowed, and what to do."""


class MotionliftError(Exception):
    """Base of all errors raised on purpose; its message is one line for a person."""


class InputError(MotionliftError):
    """A reference video, a prompt, or another thing given to read cannot be used."""


class SettingError(MotionliftError):
    """A setting, method, model or block name is unknown, of the wrong type, or out of range."""


class ModelError(MotionliftError):
    """A model cannot be loaded, or cannot do what a method asks of it."""


class MotionError(MotionliftError):
    """A motion file is damaged, foreign, or does not fit the model."""


class OutputError(MotionliftError):
    """A result cannot be written where it should go."""


class DivergenceError(MotionliftError):
    """A loss or a latent stopped being finite."""


class Stopped(KeyboardInterrupt):
    """Ctrl-C in work of which something stays; no :class:`MotionliftError`, so that nothing takes it for a failure."""

    def __init__(self, stays: str):
        super().__init__(stays)
        self.stays = stays
        """What stays and how to go on, for a person."""
