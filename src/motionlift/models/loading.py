"""Models from names, folders and pipelines, ready to lift and to cast with."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from motionlift.core.given import as_list, came, check_given
from motionlift.core.memory import QUANTIZERS, Measures, Weights
from motionlift.core.model import Model
from motionlift.core.shortage import shortage_behind, tried
from motionlift.environment import fallback_line, launched
from motionlift.errors import MemoryShortError, ModelError, SettingError
from motionlift.models.families import serving
from motionlift.models.identity import digest
from motionlift.models.lora_files import LoraFile
from motionlift.models.loras import fuse
from motionlift.models.parallel import check_sharing
from motionlift.models.parts import read_parts
from motionlift.models.precision import AUTO, check_dtype, check_weights, chosen, quantizing
from motionlift.models.quiet import quiet
from motionlift.models.sources import BUNDLED, DEFAULT_MODEL, Source, joined_sources
from motionlift.models.words import read_plainly

PICKLED = re.compile(r"no file named \S+\.safetensors|necessary .?safetensors").search
"""Finds in the libraries' words that weights are there in no format that is read."""
CONVERSION = (
    'diffusers converts it once and for all: python -c "from diffusers import DiffusionPipeline; '
    "DiffusionPipeline.from_pretrained('{model}').save_pretrained('converted/{last}')\"; then take the folder converted/{last}"
)
"""What to do about them; the last part of the name stays, by which the published models are known."""
VARIANTS = ("fp16", "bf16")
"""Marks of files in half precision, in the order in which they are tried."""
CARD = "figures.json"
"""File beside a bundled model's weights: what was measured of it, names to values."""
LOG = logging.getLogger(__name__)


@quiet()
def load(
    model: Any = DEFAULT_MODEL,
    device: str = "auto",
    loras: str | Path | LoraFile | Sequence[str | Path | LoraFile] = (),
    dtype: str = AUTO,
    measures: Measures | None = None,
    compiled: bool = False,
    parallel: int = 1,
) -> Model:
    """A model, ready to lift with and cast with.

    A pipeline that is handed in keeps its scheduler, its processors and all else: it makes the videos that it made before. A
    bundled model reads capital letters as small ones and punctuation as blanks.

    Args:
        model: a bundled name, a folder or hub name of a diffusers pipeline, a picture model and a motion adapter joined by a plus,
            or a loaded pipeline.
        device: ``auto``, or a torch device such as ``cpu``, ``cuda:0`` or ``mps``.
        loras: safetensors files of low-rank adapters, which become part of the weights, with weights such as
            ``star.safetensors:0.8``; of a model with two networks, as Wan 2.2, ``star.safetensors:0.8:high``, ``low`` or ``both``.
        dtype: what it computes with: ``bf16``, ``fp16`` or ``fp32``; ``auto`` is fp32 on a CPU, else the first that the device has
            and that does not break the model.
        measures: what is done so that it takes less memory; by default what goes with its size.
        compiled: whether passes for sampling run compiled, after a minute or more for the first: that pays off on GPUs, and where
            many videos are made. Numbers differ in their last digits.
        parallel: how many processes share the tokens of a video in passes for sampling, of models whose family can be shared so
            (Wan and LTX). ``accelerate launch`` or ``torchrun`` starts them; each holds the whole model and gets the whole video.

    Raises:
        MemoryShortError: main memory ended while weights were read.
        ModelError: there is no such model or adapter, it cannot be read, or no family serves it; or adapters for a loaded pipeline.
        SettingError: the device does not exist here, or lacks what is asked for; a type of numbers breaks the model; an adapter's
            weight is out of range; a measure cannot be taken, or is one that changes the weights of a loaded pipeline; the tokens
            of a video cannot be shared, or other processes were started than are to share them.
    """
    files = [loras] if isinstance(loras, (str, Path, LoraFile)) else as_list(loras)
    if files is None:
        raise ModelError(f"loras is {came(loras)}; give files of adapters, such as ['star.safetensors:0.8']")
    if measures is not None and not isinstance(measures, Measures):
        raise SettingError(f"measures is {came(measures)}; give motionlift.Measures(...)")
    if not isinstance(device, str | torch.device):
        raise SettingError(f"device is {came(device)}; give auto, cpu, cuda or mps")
    check_given(dtype=dtype, compiled=compiled, parallel=parallel)
    check_dtype(dtype)
    place, asked = device_named(device), [_lora(each) for each in files]
    if place.type == "mps":
        LOG.info("note: %s", fallback_line())
    if not isinstance(model, (str, Path)):
        _check_given(dtype, measures)
        if asked:
            raise ModelError(
                "adapters become part of the weights, and this pipeline is yours: load them into it, then "
                "pipeline.fuse_lora() and pipeline.unload_lora_weights()"
            )
        family, name = serving(type(model).__name__), getattr(model, "name_or_path", "") or type(model).__name__
        check_parts(family, model, name)
        _check_caches(model)
        return _viewed(family(model, name, place, given=True, measures=measures), compiled, parallel)
    source, adapter = joined_sources(str(model))
    family = serving("AnimateDiffPipeline" if adapter else source.pipeline)
    check_parallel(str(model), place, parallel, compiled, measures)
    LOG.info("reads the model %s for %s", model, place)
    if measures is not None:
        check_measures(measures, place, source, bool(asked), bool(adapter))
    kind = chosen(dtype, place, source.name, family.breaking(source))
    pipeline = _read(source, adapter, family, kind, quantizing(measures, kind))
    check_parts(family, pipeline, source.name)
    if _is_bundled(source):  # others know capital letters and punctuation, or are to be as they are
        read_plainly(pipeline.tokenizer)
    added = fuse(pipeline, asked, source.name, family.readers)
    loaded = family(pipeline, str(model), place, measures=measures)
    if added:
        fingerprint = digest(loaded.about.fingerprint, *[(each.sha256, each.weight, each.part) for each in added])
        loaded.about = replace(loaded.about, fingerprint=fingerprint, added=added)
    return _viewed(loaded, compiled, parallel)


def check_parallel(
    model: str, device: torch.device, parallel: int, compiled: bool = False, measures: Measures | None = None
) -> None:
    """Refuse before weights are read that several processes share the tokens of a model's videos, where they cannot.

    Args:
        model: what it is called.
        device: where it runs.
        parallel: how many processes are to share.
        compiled: whether it is to be compiled.
        measures: what is to be done with it.

    Raises:
        ModelError: there is no such model.
        SettingError: they cannot.
    """
    if parallel == 1:
        return
    source, adapter = joined_sources(model)
    family = serving("AnimateDiffPipeline" if adapter else source.pipeline)
    others = {
        "a compiled network": compiled,
        "a network that is offloaded": measures is not None and measures.offloaded,
    }
    check_sharing(parallel, family, model, device, others)


def _viewed(model: Any, compiled: bool, parallel: int) -> Model:
    """A model as it is to sample."""
    view = model.compiling() if compiled else model
    return view if parallel == 1 else view.sharing(parallel)


def _lora(given: str | Path | LoraFile) -> LoraFile:
    """An adapter that is asked for, looked at."""
    asked = given if isinstance(given, LoraFile) else LoraFile.parsed(str(given))
    asked.check()
    return asked


def _check_given(dtype: str, measures: Measures | None) -> None:
    """Refuse what would change the weights of a pipeline that was handed in."""
    if dtype != AUTO:
        raise SettingError(
            f"dtype is {dtype}, and this pipeline is yours: make it with dtype=torch.bfloat16 or another"
        )
    if measures is not None and (measures.offloaded or measures.weights is not Weights.OWN):
        raise SettingError(
            "this pipeline is yours, and its weights stay where and as they are: leave offloaded and weights out of the measures, "
            "or set its hooks before, such as pipeline.transformer.enable_group_offload()"
        )


def _check_caches(pipeline: Any) -> None:
    """Refuse a network that uses in one pass what it computed in another: what is read and guided is every pass's own."""
    for name, part in pipeline.components.items():
        if getattr(part, "is_cache_enabled", False):
            raise ModelError(
                f"the {name} of this pipeline uses in one step what it computed in another, and every step is read and guided by "
                f"itself: call pipeline.{name}.disable_cache() first"
            )


def _is_bundled(source: Source) -> bool:
    return Path(source.place).resolve().parent == BUNDLED


def check_measures(
    measures: Measures, device: torch.device, source: Source, adapted: bool = False, animated: bool = False
) -> None:
    """Refuse measures that cannot be taken here, or not together with others or with adapters; nothing is read.

    Args:
        measures: what is to be done.
        device: where the model runs.
        source: where it is.
        adapted: whether adapters become part of its weights.
        animated: whether a motion adapter is put into its network.

    Raises:
        SettingError: they cannot.
    """
    check_weights(measures.weights, device)
    if measures.weights not in QUANTIZERS:
        return
    if _is_bundled(source):
        raise SettingError(
            f"{source.name} is small, and no quantizer holds its weights: leave {measures.weights} out, or take a larger model"
        )
    against = {"offloaded, which moves weights as they are": measures.offloaded}
    against |= {"adapters, which become part of the weights": adapted}
    against |= {"a motion adapter, which is put into the network after it is read": animated}
    for other, is_there in against.items():
        if is_there:
            raise SettingError(
                f"weights in {measures.weights} do not go with {other}: hold them in fp8, or as they are"
            )


def check_parts(family: Any, pipeline: Any, name: str) -> None:
    """Refuse a pipeline of other parts than its family has: diffusers only warns."""
    for part, allowed in family.parts.items():
        own = getattr(pipeline, part, None)
        if own is None:
            raise ModelError(f"model {name!r} lacks its {part}, a {' or '.join(allowed)}; get the whole of it")
        if type(own).__name__ not in allowed:
            raise ModelError(
                f"the {part} of model {name!r} is a {type(own).__name__}; allowed is {' or '.join(allowed)}"
            )
    boundary = pipeline.config.get("boundary_ratio")
    if boundary is not None and getattr(pipeline, "transformer_2", None) is None:
        raise ModelError(
            f"model {name!r} lacks its second network, transformer_2, for levels below {boundary:g} of the noise; get the whole "
            "of it"
        )


def device_named(name: str) -> torch.device:
    """A device by its name; ``auto`` is the GPU where there is one, Nvidia's, AMD's or Apple's.

    Raises:
        SettingError: it does not exist here, or holds no numbers.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        place = torch.device(name)
        if place.type == "cuda" and place.index is None:
            place = _own_gpu()
        tried = torch.zeros(1, device=place)
        tried.tolist()  # the device "meta" holds no numbers
    except (RuntimeError, AssertionError, ImportError) as error:
        raise SettingError(
            f"device {name!r} is not there; allowed are auto, cpu, and cuda or mps where PyTorch finds one"
        ) from error
    return tried.device  # with its number, as every tensor on it has it: "mps" equals no tensor's device


def _own_gpu() -> torch.device:
    """A GPU of this process's own, among several that a launcher started, as far as there are so many."""
    return torch.device("cuda", launched().local_rank % max(1, torch.cuda.device_count()))


def _read(source: Source, adapter: str | None, family: Any, kind: torch.dtype, quantized: Any) -> Any:
    """The pipeline, or its parts: safetensors only.

    Where files are there in half precision alone (``*.fp16.safetensors``), those are read.

    Args:
        source: where they are.
        adapter: a motion adapter to be put into the network.
        family: serves the pipeline.
        kind: the numbers' type.
        quantized: diffusers' settings of a quantizer for the networks.

    Raises:
        MemoryShortError: main memory ended.
        ModelError: it is incomplete, damaged, or in no format that is read.
    """
    first: Exception | None = None
    for variant in (None, *VARIANTS):
        try:
            if family.apart:
                only = {name: {"quantization_config": quantized} for name in family.networks if quantized is not None}
                pipeline: Any = read_parts(source, family.parts, kind, variant, only)
            elif adapter is not None:
                pipeline = _animated(source, adapter, kind, variant)
            else:
                more = _quantized(source, family, quantized)
                pipeline = _read_pipeline(source, source.pipeline, variant, dtype=precision(kind, family), **more)
            _check_tokenizers(pipeline)
            return pipeline
        except Exception as error:  # damaged files make the libraries raise errors of every kind
            first = first or error
            if not PICKLED(" ".join(str(error).split())):
                break
    assert first is not None
    failed = shortage_behind(first)
    if failed is not None:
        half = "dtype bf16, which is half of it, " if kind is torch.float32 else ""
        raise MemoryShortError(
            f"out of memory while the weights of model {source.name!r} were read{tried(failed)}: take {half}a smaller model, or a "
            "machine with more main memory"
        ) from first
    reason = " ".join(str(first).split())[:200]
    hint = ""
    if PICKLED(reason):
        way = CONVERSION.format(model=source.name, last=Path(source.name).name)
        hint = f". If its weights are pickles, which are never read here: {way}"
    raise ModelError(f"model {source.name!r} is incomplete or damaged: {reason}{hint}") from first


def _read_pipeline(source: Source, kind: str, variant: str | None, **more: Any) -> Any:
    """A pipeline of a class of diffusers."""
    import diffusers

    return getattr(diffusers, kind).from_pretrained(
        source.place, use_safetensors=True, local_files_only=source.is_local, variant=variant, **more
    )


def _quantized(source: Source, family: Any, quantized: Any) -> dict[str, Any]:
    """What reading a pipeline is told of its networks, where a quantizer is to hold their weights."""
    if quantized is None:
        return {}
    from diffusers import PipelineQuantizationConfig

    there = [name for name in family.networks if any(source.index.get(name) or ())]
    return {"quantization_config": PipelineQuantizationConfig(quant_mapping=dict.fromkeys(there, quantized))}


def _animated(source: Source, adapter: str, kind: torch.dtype, variant: str | None) -> Any:
    """A picture model with a motion adapter, and the noise schedule that adapters are trained with (published examples)."""
    from diffusers import DDIMScheduler, MotionAdapter

    motion = MotionAdapter.from_pretrained(adapter, use_safetensors=True, dtype=kind)
    pipeline = _read_pipeline(source, "AnimateDiffPipeline", variant, motion_adapter=motion, dtype=kind)
    pipeline.scheduler = DDIMScheduler.from_config(
        pipeline.scheduler.config,
        clip_sample=False,
        timestep_spacing="linspace",
        beta_schedule="linear",
        steps_offset=1,
    )
    return pipeline


def precision(kind: torch.dtype, family: Any) -> Any:
    """The numbers' type for each part: but for those that a family wants in single precision, the same."""
    if kind is torch.float32:
        return kind
    return {"default": kind, **dict.fromkeys(family.single, torch.float32)}


def _check_tokenizers(pipeline: Any) -> None:
    """Refuse tokenizers that know no words: where files are missing, transformers makes such."""
    from transformers import PreTrainedTokenizerBase

    for part in pipeline.components.values():
        unknown = getattr(part, "unk_token_id", None)
        if not isinstance(part, PreTrainedTokenizerBase) or unknown is None:
            continue
        if unknown in part("a", add_special_tokens=False).input_ids:
            raise ModelError("its tokenizer is empty")
