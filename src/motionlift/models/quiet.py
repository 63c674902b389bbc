"""Bars and notices of diffusers and transformers, kept off the terminal while models are read."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

ASKED = {"diffusers": "DIFFUSERS_VERBOSITY", "transformers": "TRANSFORMERS_VERBOSITY"}
"""By library, the variable of its own by which its notices are asked for."""
_TURN = threading.RLock()
"""Held while a library is quiet: what it was before is put back by the one who changed it."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep bars and notices of both libraries off until left; callers wait for each other. Bars of downloads stay.

    A library speaks all the same where its environment variable, as ``DIFFUSERS_VERBOSITY=info``, or the program, as by
    ``diffusers.utils.logging.set_verbosity_info()``, asks it to say more than it does by itself.
    """
    from diffusers.utils import logging as diffusers_log
    from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars
    from transformers.utils import logging as transformers_log

    with _TURN, ExitStack() as stack:
        for library, log in (("diffusers", diffusers_log), ("transformers", transformers_log)):
            before = log.get_verbosity()
            if ASKED[library] in os.environ or before < log.WARNING:
                continue
            stack.callback(log.set_verbosity, before)
            log.set_verbosity_error()
            if log.is_progress_bar_enabled():
                downloads_show = not are_progress_bars_disabled()
                stack.callback(log.enable_progress_bar)
                log.disable_progress_bar()
                if downloads_show:  # transformers turns them off with its own
                    enable_progress_bars()
        yield
