"""Serving the page: on this machine alone, unless there is a password."""

import os
import secrets
from pathlib import Path

import gradio as gr

from motionlift.app.jobs import Jobs
from motionlift.app.making import Maker
from motionlift.app.page import STYLE, built
from motionlift.app.serving import Serving
from motionlift.app.uploads import MOST_BYTES
from motionlift.errors import OutputError
from motionlift.motion.lock import held

NAME = "motionlift"
"""Whom the password is asked of."""
AT_ONCE = 40
"""Handlers that run at once: all are short, and work is in the queue (ours)."""
MOST_SESSIONS = 200
"""Opened pages of which Gradio remembers what they show (ours): some megabytes each."""


def serve(serving: Serving, data: Path) -> None:
    """Serve the page until the program is stopped.

    Args:
        serving: how.
        data: folder of all data; made where it is not there.

    Raises:
        OutputError: the folder cannot be written, another program serves it, or the port is taken.
        SettingError: as of :meth:`motionlift.app.serving.Serving.check`.
    """
    serving.check()
    try:
        data.mkdir(parents=True, exist_ok=True)
        secret = _secret(data / "secret")
    except OSError as error:
        raise OutputError(f"cannot write to {data} ({error.strerror}); give another folder by --data") from error
    # A second program would take what the first is at for what was left when it ended.
    with held(data):
        jobs = Jobs(data, Maker(serving.device, serving.weights))
        page = built(jobs, data, secret, serving.device, serving.is_private, serving.weights)
        page.queue(default_concurrency_limit=AT_ONCE, api_open=False)
        try:
            _launch(page, serving)
        finally:
            page.close(verbose=False)
            jobs.close()


def _launch(page: gr.Blocks, serving: Serving) -> None:
    try:
        page.launch(
            server_name=serving.host,
            server_port=serving.port,
            share=serving.share,
            auth=(NAME, serving.password) if serving.password else None,
            quiet=False,
            show_error=False,
            max_file_size=MOST_BYTES,
            theme=gr.themes.Default(primary_hue="orange", neutral_hue="stone"),
            css=STYLE,
            footer_links=[],
            ssr_mode=False,
            run_history=False,
            enable_monitoring=False,
            state_session_capacity=MOST_SESSIONS,
        )
    except OSError as error:
        raise OutputError(
            f"{serving.host}:{serving.port} cannot be listened at ({error}); give another --port"
        ) from error


def _secret(place: Path) -> str:
    """The secret of this data folder, which only its owner reads; made once."""
    if not place.exists():
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
    return place.read_text(encoding="ascii")
