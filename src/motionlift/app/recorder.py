"""A clip from the visitor's camera, as the browser records it."""

import gradio as gr
from gradio.data_classes import FileData, ImageData


def recorder() -> gr.Video:
    """What records from a camera, without sound, and without turning left to right."""
    camera = gr.Video(
        label="Camera",
        sources=["webcam"],
        include_audio=False,
        webcam_options=gr.WebcamOptions(mirror=False),
        elem_id="camera",
    )
    # Gradio would ask a program, FFmpeg, which need not be there, to take the sound out of what was recorded without any.
    camera.preprocess = as_sent
    return camera


def as_sent(payload: FileData | ImageData | None) -> str | None:
    """The file that the browser sent; Gradio has looked whether it is one."""
    return None if payload is None else payload.path
