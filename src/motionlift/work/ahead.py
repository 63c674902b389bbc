"""What a call would take, told ahead of it: :func:`plan`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from motionlift.core.given import Whole, Wholes, check_given
from motionlift.errors import ModelError
from motionlift.models.loading import device_named
from motionlift.models.precision import AUTO
from motionlift.models.shared import PipelineModel
from motionlift.models.sources import DEFAULT_MODEL
from motionlift.video.clip import Clip
from motionlift.video.part import GREY
from motionlift.work.lift import Referred, referred
from motionlift.work.memory import room
from motionlift.work.plan import Plan
from motionlift.work.planning import Asked, held_on, kind_named, planned
from motionlift.work.prepare import ask, aspect_of, check_reference, loaded
from motionlift.work.several import with_negative


def plan(
    reference: Referred,
    prompt: str | None = None,
    model: Any = DEFAULT_MODEL,
    *,
    method: str = "ditflow",
    frames: Whole | None = None,
    size: Wholes | None = None,
    settings: Mapping[str, Any] | None = None,
    negative_prompt: str | None = None,
    cut_prompt: bool = False,
    picture: "str | Path | Image.Image | Clip | None" = None,
    memory: str | int | None = None,
    device: str = "auto",
    dtype: str = AUTO,
) -> Plan:
    """Say what :func:`motionlift.transfer` would take, and whether it fits; no weights of a model that is named are read.

    Stages of a cascade are not in it.

    Args:
        reference: as of :func:`motionlift.lift`; its shape alone is looked at.
        prompt: what the video is to show; by default the motion is lifted alone.
        model: what :func:`motionlift.load` takes or gives.
        method: name of a method.
        frames: length in frames; the model's own by default.
        size: width and height in pixels; the model's own by default.
        settings: the method's settings by name.
        negative_prompt: what the video is not to show.
        cut_prompt: cut prompts that are longer than the model's text window.
        picture: what the video begins with.
        memory: what may be used of the device, such as ``12GB``; by default what is free.
        device: of a model that is named: ``auto``, ``cpu``, ``cuda`` or ``mps``; where ``memory`` is given it need not be here.
        dtype: what such a model computes with.

    Returns:
        The plan: phases with their peaks in bytes, measures (in words: ``taken``), passes, and ``seconds`` where a pass was
        measured here before.

    Raises:
        MemoryShortError: it does not fit, whatever is done.
        MotionliftError: another of its kinds.
    """
    check_given(dtype=dtype, cut_prompt=cut_prompt)
    given = referred(reference, GREY)
    if isinstance(given, str | Path):
        check_reference(given)
    values = with_negative(settings, negative_prompt)
    request = ask(method, values, prompt=prompt, picture=picture)
    asked = Asked(request, frames, size, cut_prompt=cut_prompt, aspect=aspect_of(given))
    if isinstance(model, str | Path):
        place = device_named(device) if memory is None else kind_named(device)
        return planned(asked, str(model), room(place, memory), dtype)
    own = loaded(model)
    if not isinstance(own, PipelineModel):
        raise ModelError(f"{own.about.name} is no pipeline of diffusers, and what it takes cannot be planned")
    return planned(asked, own, room(own.about.device, memory, held_on(own, own.about.device)))
