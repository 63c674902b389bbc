"""Models from names, folders and pipelines, ready to lift and to cast with."""

import re
from pathlib import Path
from typing import Any

import torch

from motionlift.core.model import Model
from motionlift.environment import launched
from motionlift.errors import ModelError, SettingError
from motionlift.models.families import serving
from motionlift.models.words import read_plainly

BUNDLED = Path(__file__).resolve().parents[1] / "world" / "weights"
"""Folder of the models that come with the package."""
BUNDLED_MODELS = ("tiny-dit", "tiny-unet")
INDEX = "model_index.json"
"""File by which a folder is known as a diffusers pipeline."""
HUB_NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
"""A name on the Hugging Face hub: owner and model."""
PICKLED = re.compile(r"no file named \S+\.safetensors|necessary .?safetensors").search
"""Finds in the libraries' words that weights are there in no format that is read."""
CONVERSION = (
    'diffusers converts it once and for all: python -c "from diffusers import DiffusionPipeline; '
    "DiffusionPipeline.from_pretrained('{model}').save_pretrained('converted/{last}')\"; then take the folder converted/{last}"
)
"""What to do about them; the last part of the name stays, by which the published models are known."""
CARD = "figures.json"
"""File beside a bundled model's weights: what was measured of it, names to values."""


def load(model: Any = "tiny-dit", device: str = "auto") -> Model:
    """A model, ready to lift with and cast with.

    A pipeline that is handed in keeps its scheduler, its processors and all else: it makes the videos that it made before. A
    bundled model reads capital letters as small ones and punctuation as blanks.

    Args:
        model: a bundled name, a folder or hub name of a diffusers pipeline, or a loaded pipeline.
        device: ``auto``, or a torch device such as ``cpu`` or ``cuda:0``.

    Raises:
        ModelError: there is no such model, it cannot be read, or no family serves it.
        SettingError: the device does not exist here.
    """
    place = device_named(device)
    if not isinstance(model, (str, Path)):
        family, name = serving(type(model).__name__), getattr(model, "name_or_path", "") or type(model).__name__
        _check_parts(family, model, name)
        return family(model, name, place, given=True)
    name = str(model)
    source = _source(name)
    family = serving(_pipeline_class(name, source))
    pipeline = _read_pipeline(name, source, place)
    _check_parts(family, pipeline, name)
    if (
        Path(source).resolve().parent == BUNDLED
    ):  # others know capital letters and punctuation, or are to be as they are
        read_plainly(pipeline.tokenizer)
    return family(pipeline, name, place)


def _check_parts(family: Any, pipeline: Any, name: str) -> None:
    """Refuse a pipeline of other parts than its family has: diffusers only warns."""
    for part, allowed in family.parts.items():
        found = type(getattr(pipeline, part)).__name__
        if found not in allowed:
            raise ModelError(f"the {part} of model {name!r} is a {found}; allowed is {' or '.join(allowed)}")


def device_named(name: str) -> torch.device:
    """A device by its name; ``auto`` is the GPU where there is one.

    Raises:
        SettingError: it does not exist here, or holds no numbers.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(name)
        if place.type == "cuda" and place.index is None:
            place = _own_gpu()
        torch.zeros(1, device=place).tolist()  # the device "meta" holds no numbers
    except (RuntimeError, AssertionError, ImportError) as error:
        raise SettingError(
            f"device {name!r} is not there; allowed are auto, cpu, and cuda where PyTorch finds one"
        ) from error
    return place


def _own_gpu() -> torch.device:
    """A GPU of this process's own, among several that a launcher started, as far as there are so many."""
    return torch.device("cuda", launched().local_rank % max(1, torch.cuda.device_count()))


def _source(name: str) -> str:
    """Where a model is read from: a folder that holds a pipeline, or a hub name."""
    try:
        folder = BUNDLED / name if name in BUNDLED_MODELS else Path(name).expanduser()
        if (folder / INDEX).is_file():
            return str(folder)
        there = folder.exists()
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"model {name[:200]!r} is not to be had; allowed: {_allowed_models()}") from error
    if name in BUNDLED_MODELS or there or not HUB_NAME.fullmatch(name):
        problem = f"is there, but holds no diffusers pipeline (no {INDEX})" if there else "is not to be had"
        raise ModelError(f"model {name[:200]!r} {problem}; allowed: {_allowed_models()}")
    return name


def _pipeline_class(name: str, source: str) -> str:
    """Name of the pipeline class a model was saved with."""
    from diffusers import DiffusionPipeline

    try:
        index: Any = DiffusionPipeline.load_config(source)
        return str(index["_class_name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"model {name!r} is not to be had; allowed: {_allowed_models()}") from error


def _allowed_models() -> str:
    return f"{', '.join(BUNDLED_MODELS)}, a folder of a diffusers pipeline, or a hub name such as zai-org/CogVideoX-5b"


def _read_pipeline(name: str, source: str, device: torch.device) -> Any:
    """The pipeline itself: safetensors only, half precision on a GPU."""
    import diffusers

    kind = torch.float32 if device.type == "cpu" else torch.bfloat16
    cls = getattr(diffusers, _pipeline_class(name, source))
    try:
        pipeline = cls.from_pretrained(source, dtype=kind, use_safetensors=True)
        # Where its files are missing, transformers makes a tokenizer that knows no words.
        if pipeline.tokenizer.unk_token_id in pipeline.tokenizer("a", add_special_tokens=False).input_ids:
            raise ModelError("its tokenizer is empty")
    except Exception as error:  # damaged files make the libraries raise errors of every kind
        reason = " ".join(str(error).split())[:200]
        hint = ""
        if PICKLED(reason):
            way = CONVERSION.format(model=name, last=Path(name).name)
            hint = f". If its weights are pickles, which are never read here: {way}"
        raise ModelError(f"model {name!r} is incomplete or damaged: {reason}{hint}") from error
    return pipeline
