"""The few errors a user can meet. Each says what came, what is allowed, and what to do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


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


class MemoryShortError(MotionliftError):
    """What is asked for does not fit the memory that there is, by a plan or because an allocation failed."""


class ClusterError(MotionliftError):
    """Machines that are to work together cannot be had, or are gone."""


class Stopped(KeyboardInterrupt):
    """Ctrl-C, or another signal that ends a run, in work of which something stays.

    No :class:`MotionliftError`, so that nothing takes it for a failure.
    """

    def __init__(self, stays: str):
        super().__init__(stays)
        self.stays = stays
        """What stays and how to go on, for a person."""


@contextmanager
def staying(told: Callable[[], str]) -> Iterator[None]:
    """Say what stays of the work within where it is stopped, unless it was said further in.

    Args:
        told: gives what stays and how to go on, at that moment.

    Raises:
        Stopped: the work was stopped.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        if isinstance(stop_behind(stop), Stopped):
            raise
        raise Stopped(told()) from stop


def stop_behind(error: BaseException) -> KeyboardInterrupt | None:
    """The stop behind an error, if one is; the one that says what stays, where there are several.

    Some libraries turn it into an error of their own while they are imported, and it comes again while work is put away.
    """
    found: KeyboardInterrupt | None = None
    behind: BaseException | None = error
    while behind is not None and not isinstance(found, Stopped):
        found = behind if isinstance(behind, KeyboardInterrupt) else found
        behind = behind.__cause__ or behind.__context__
    return found
