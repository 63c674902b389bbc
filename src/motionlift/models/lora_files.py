"""Files of adapters of others, as they are asked for: looked at by their header alone, before anything heavy is imported."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from motionlift.errors import ModelError, SettingError
from motionlift.motion.adapter_file import PICKLES
from motionlift.video.marks import MOTION_KEY

NETWORKS: Mapping[str, str] = {"high": "transformer", "low": "transformer_2"}
"""What users of Wan 2.2 call its two networks, by the noise that they serve, and the pipeline's parts."""
BOTH = "both"
WEIGHTS = (-4.0, 4.0)
"""Least and greatest weight (ours: trained at 1, and used from -2 to 2)."""
SUFFIX = ".safetensors"
"""How the names of files end that are read."""
FORM = "FILE, FILE:0.8, or FILE:0.8:high for one of two networks"
DOWN_ENDS = ("lora_A.weight", "lora_down.weight", "lora.down.weight", "lora_A.default.weight", "lora_A")
"""Ends of the names of the factor that comes first, as files have it: one for every layer."""


@dataclass(frozen=True)
class LoraFile:
    """An adapter that is asked for."""

    path: Path
    """A safetensors file."""
    weight: float = 1.0
    """What it is multiplied by."""
    network: str | None = None
    """``high``, ``low`` or ``both``, where a model has two networks."""

    @classmethod
    def parsed(cls, text: str) -> "LoraFile":
        """Read ``FILE``, ``FILE:WEIGHT`` or ``FILE:WEIGHT:NETWORK``; the weight may be left out.

        Raises:
            SettingError: a weight out of range.
        """
        rest, network, weight = text, None, 1.0
        start, _, end = rest.rpartition(":")
        if start and end in (*NETWORKS, BOTH):
            rest, network = start, end
        start, _, end = rest.rpartition(":")
        with suppress(ValueError):
            rest, weight = (start, float(end)) if start else (rest, weight)
        if not WEIGHTS[0] <= weight <= WEIGHTS[1]:
            allowed = f"allowed is a number from {WEIGHTS[0]:g} to {WEIGHTS[1]:g}"
            raise SettingError(f"the adapter's weight is {weight}; {allowed}: give {FORM}")
        return cls(Path(rest), weight, network)

    def check(self) -> None:
        """Refuse what cannot be read, before a model is loaded.

        Raises:
            ModelError: the file is missing, damaged, a pickle, a motion, or holds no tensors.
        """
        if self.path.suffix.lower() in PICKLES:
            raise ModelError(
                f"{self.path} is a pickle, which is never read here, since it can run code; give the adapter as safetensors"
            )
        if not self.path.is_file():
            what = "is a folder" if self.path.is_dir() else "is not there"
            raise ModelError(f"the adapter {str(self.path)[:200]!r} {what}; give {FORM}")
        if self.path.suffix != SUFFIX:
            raise ModelError(f"{self.path} does not end in {SUFFIX}; adapters are read from safetensors files alone")
        try:
            with safe_open(self.path, framework="np") as opened:
                is_motion, names = MOTION_KEY in (opened.metadata() or {}), list(opened.keys())
        except (SafetensorError, OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{self.path} is damaged or no safetensors file ({reason})") from error
        if is_motion:
            raise ModelError(
                f"{self.path} is a motion: cast it, mix it with another by motionlift cast --mix, or make an adapter of it by "
                "motionlift export"
            )
        if not names:
            raise ModelError(f"{self.path} holds no tensors")

    def layers(self) -> int:
        """How many layers it is for, as far as its names say."""
        with safe_open(self.path, framework="np") as opened:
            return sum(name.endswith(DOWN_ENDS) for name in opened.keys())

    def first(self) -> str:
        """One of its names."""
        with safe_open(self.path, framework="np") as opened:
            return min(opened.keys())
