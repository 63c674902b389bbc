"""Signals that stop a run are held back, each of them, and only where Python handles them."""

import signal
import threading
from collections.abc import Iterator

import pytest

from motionlift.loops.interrupts import STOPPING, held_back
from tests import no_posix


@pytest.fixture
def came() -> Iterator[list[int]]:
    """Numbers of the signals that were handled."""
    numbers: list[int] = []
    before = {number: signal.signal(number, lambda number, _: numbers.append(number)) for number in STOPPING}
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


def test_they_are_ctrl_c_term_and_a_closed_terminal():
    posix = [] if no_posix.is_asked_for() else ["SIGHUP"]
    assert [number.name for number in STOPPING] == ["SIGINT", "SIGTERM", *posix]


@pytest.mark.parametrize("number", STOPPING)
def test_it_acts_at_the_end(number: signal.Signals, came: list[int]):
    with held_back():
        signal.raise_signal(number)
        assert came == []
    assert came == [number]
    signal.raise_signal(number)
    assert came == [number, number], "the handler is back"


def test_the_first_of_several_acts(came: list[int]):
    with held_back(), held_back():
        for number in reversed(STOPPING):
            signal.raise_signal(number)
    assert came == [STOPPING[-1]]


def test_it_acts_after_an_error_too(came: list[int]):
    with pytest.raises(ValueError, match="mine"), held_back():
        signal.raise_signal(signal.SIGTERM)
        raise ValueError("mine")
    assert came == [signal.SIGTERM]


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_what_python_does_not_handle_is_left_alone(came: list[int], handler: signal.Handlers):
    """A caller who ignores a signal, or lets it end the process at once, keeps it so."""
    signal.signal(signal.SIGHUP, handler)
    with held_back():
        assert signal.getsignal(signal.SIGHUP) == handler
    assert signal.getsignal(signal.SIGHUP) == handler and came == []


def test_other_threads_change_no_handler(came: list[int]):
    def work() -> None:
        before = signal.getsignal(signal.SIGTERM)
        with held_back():
            assert signal.getsignal(signal.SIGTERM) is before
        done.append(True)

    done: list[bool] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
