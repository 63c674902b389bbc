"""``motionlift app``: the web page."""

from pathlib import Path
from typing import Annotated

import typer

from motionlift.cli.given_files import check_folder
from motionlift.cli.options import Device, HeldWeights
from motionlift.errors import SettingError


def app(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; others than this machine's need a password.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option("--port", help="Port to listen at.")] = 7860,
    share: Annotated[
        bool, typer.Option("--share", help="Get a public address by Gradio's tunnel; needs a password.")
    ] = False,
    password: Annotated[
        str,
        typer.Option(
            "--password", envvar="MOTIONLIFT_PASSWORD", help="What visitors have to say, beside the name motionlift."
        ),
    ] = "",
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder for motions, videos and the history.", show_default="the user's"),
    ] = None,
    device: Device = "auto",
    weights: HeldWeights = None,
) -> None:
    """Open a web page on this machine: upload a clip, lift its motion, and make videos of it."""
    from motionlift.app.serving import Serving, data_folder

    serving = Serving(host, port, password, share, device, weights)
    serving.check()
    if data is not None:
        check_folder(data)
    try:
        import gradio  # noqa: F401  # it is an extra
    except ImportError as error:
        raise SettingError("the page needs Gradio: pip install 'motionlift[app]'") from error
    from motionlift.app.server import serve

    serve(serving, data_folder() if data is None else data)
