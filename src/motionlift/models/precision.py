"""The type of the numbers that a model computes with: asked for or chosen, and refused before any weights are read."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch

from motionlift.core.memory import QUANTIZERS, Measures, Weights, check_quantizer
from motionlift.errors import SettingError

AUTO = "auto"
DTYPES: Mapping[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
"""Types by name, in the order in which ``auto`` takes them where there is a GPU: bf16 has the range of fp32, so that gradients of
guidance neither vanish in it nor overflow, though some models were trained in fp16."""
AMPERE = (8, 0)
"""Compute capability of Nvidia's first GPUs that have convolutions in bf16."""
MACOS = (14, 0)
"""First macOS whose GPUs compute in bf16 (PyTorch)."""


def named(kind: torch.dtype) -> str:
    """What a type is called here; PyTorch's own name where it has none."""
    return next((name for name, own in DTYPES.items() if own is kind), str(kind).removeprefix("torch."))


def check_dtype(asked: str) -> None:
    """Refuse a type that has no name here.

    Raises:
        SettingError: the name is unknown.
    """
    if asked not in (AUTO, *DTYPES):
        raise SettingError(f"dtype is {asked[:40]!r}; allowed are {', '.join((AUTO, *DTYPES))}")


def chosen(asked: str, device: torch.device, name: str, broken: Mapping[str, str]) -> torch.dtype:
    """The type that a model computes with: fp32 on a CPU, else the first that neither the device lacks nor breaks the model.

    Args:
        asked: the name of a type, or ``auto``.
        device: where the model runs.
        name: the model's, for messages.
        broken: types that break it, by name, and what is known of that.

    Raises:
        SettingError: the device lacks the type, or it breaks the model.
    """
    check_dtype(asked)
    lacking = _lacking(device)
    able = [kind for kind in DTYPES if kind not in lacking and kind not in broken]
    if asked == AUTO:
        return torch.float32 if device.type == "cpu" else DTYPES[able[0]]
    reason = lacking.get(asked) or (f"it breaks {name}: {broken[asked]}" if asked in broken else None)
    if reason is not None:
        raise SettingError(f"dtype {asked} cannot be: {reason}; allowed here are {AUTO}, {', '.join(able)}")
    return DTYPES[asked]


def _lacking(device: torch.device) -> dict[str, str]:
    """Types that a device does not compute with, and why."""
    if device.type == "cuda" and torch.version.hip is None and torch.cuda.get_device_capability(device) < AMPERE:
        return {"bf16": f"{torch.cuda.get_device_name(device)} has no convolutions in it, which came with Ampere"}
    if device.type == "mps" and not torch.backends.mps.is_macos_or_newer(*MACOS):
        return {"bf16": f"on Apple's GPUs it needs macOS {MACOS[0]}"}
    return {}


def check_weights(weights: Weights | str, device: torch.device) -> None:
    """Refuse a way of holding weights that is not to be had here.

    Raises:
        SettingError: the device lacks it, or the package that does it is not installed.
    """
    if weights is Weights.FP8 and device.type == "mps":
        raise SettingError("weights cannot be held in fp8 on Apple's GPUs; leave that measure out, or take offloaded")
    known = QUANTIZERS.get(Weights(weights))
    if known is not None and known.on_gpus and device.type != "cuda":
        others = ", ".join(name for name, own in QUANTIZERS.items() if not own.on_gpus)
        raise SettingError(
            f"weights in {weights} need an Nvidia or AMD GPU; hold them in fp8, or in {others}, or leave that measure out"
        )
    check_quantizer(Weights(weights))


def quantizing(measures: Measures | None, kind: torch.dtype) -> Any:
    """The settings by which diffusers reads a network's weights into a quantizer; none where there is none.

    Args:
        measures: what is asked for.
        kind: what the network computes with.
    """
    from diffusers import BitsAndBytesConfig, QuantoConfig, TorchAoConfig

    held = Weights.OWN if measures is None else measures.weights
    if held is Weights.INT8:
        return BitsAndBytesConfig(load_in_8bit=True)
    if held is Weights.NF4:
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=kind)
    if held is Weights.TORCHAO_INT8:
        return TorchAoConfig(import_module("torchao.quantization").Int8WeightOnlyConfig())
    if held in (Weights.QUANTO_INT8, Weights.QUANTO_INT4):
        return QuantoConfig(weights_dtype=held.removeprefix("quanto-"))
    return None
