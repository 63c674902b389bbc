"""Asking the Hugging Face hub for a model: whether there is no connection, or one to a hub that is slow."""

import logging
import socket
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

HUB = "https://huggingface.co"
"""Address of the hub, where no mirror is named by ``HF_ENDPOINT``."""
PATIENCE = 1.5
"""Seconds in which the hub is to be reached for a model that may be kept here (ours: a person waits at the terminal)."""
UNASKED = 0.5
"""Seconds after which it is looked whether the hub can be reached at all (ours: it mostly answers before)."""
LONGEST = 10.0
"""Seconds that a hub which was reached has to answer (released program: huggingface_hub, ``HF_HUB_ETAG_TIMEOUT``)."""
PORTS = {"http": 80, "https": 443}
"""Ports of addresses that name none."""
LOG = logging.getLogger(__name__)


class UnansweredError(TimeoutError):
    """The hub was reached, and gave no answer, in words that go after what lacks."""


def in_log(line: str) -> None:
    """Tell a line to those who listen to the library's log."""
    LOG.info("note: %s", line)


def hub_called() -> str:
    """What the hub is called: a mirror by its address."""
    from huggingface_hub import constants

    return "the hub" if constants.ENDPOINT == HUB else f"the hub {constants.ENDPOINT} (HF_ENDPOINT)"


def ask(name: str, tell: Callable[[str], None] = in_log, waits: bool = True) -> None:
    """Ask the hub for a model; what it says does not matter, only whether it gives it.

    Args:
        name: the model.
        tell: is called with a line where the hub is slow and is waited for.
        waits: whether a slow hub is waited for, for :data:`LONGEST`; else none is for longer than :data:`PATIENCE`.

    Raises:
        UnansweredError: the hub was reached, and gave no answer.
        TimeoutError: it was not reached.
        HTTPError, OSError, ValueError, RuntimeError: as huggingface_hub has it.
    """
    from huggingface_hub import HfApi

    asked = _aside(lambda: HfApi().model_info(name, timeout=2 * LONGEST))  # which is waited for no longer than here
    first = min(UNASKED, PATIENCE)
    wait([asked], first)
    if not asked.done():
        reached = _aside(_reach)
        wait([asked], PATIENCE - first)
        if waits and not asked.done() and reached.done() and reached.exception() is None:
            tell(f"{hub_called()} is slow to answer; it is waited for, up to {LONGEST:g} s")
            wait([asked], LONGEST - PATIENCE)
            if not asked.done():
                raise UnansweredError(
                    f"{hub_called()} was reached, and gave no answer within {LONGEST:g} s: try again later"
                )
    asked.result(0)


def _reach() -> None:
    """Connect to the hub, or to the proxy that leads to it.

    Raises:
        OSError: it cannot be reached.
    """
    from huggingface_hub import constants

    address = urlsplit(constants.ENDPOINT)
    proxy = None if proxy_bypass(address.hostname or "") else getproxies().get(address.scheme)
    if proxy:
        address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    port = address.port or PORTS.get(address.scheme, PORTS["https"])
    socket.create_connection((address.hostname or "", port), PATIENCE).close()


def _aside(call: Callable[[], object]) -> "Future[object]":
    """Call something in a thread of its own, which is left behind when it takes too long: looking a name up knows no limit."""
    ended: Future[object] = Future()

    def run() -> None:
        try:
            ended.set_result(call())
        except Exception as error:
            ended.set_exception(error)

    Thread(target=run, daemon=True).start()
    return ended
