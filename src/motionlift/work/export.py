"""From a tuned motion to files that other programs load."""

from pathlib import Path

from motionlift.core.given import Whole, as_int, check_given
from motionlift.models.families import families
from motionlift.motion.export import Exported, write_adapter
from motionlift.motion.file import Motion
from motionlift.motion.original import Readers
from motionlift.work.prepare import check_motion

FORMER = {"transformer": "cogvideox", "unet": "unet3d"}
"""Families by the part that was tuned, for motions of version 0.1, which do not say theirs."""


def export_adapter(
    motion: Motion, path: str | Path, reader: str = "diffusers", rank: Whole | None = None, overwrite: bool = True
) -> Exported:
    """Write what was tuned as an adapter that another program loads.

    Args:
        motion: a motion that was tuned.
        path: a safetensors file. Of a model with two networks, as Wan 2.2, there are two files, whose names end in ``_high_noise``
            and ``_low_noise``; one of them, where the other was not changed.
        reader: ``diffusers``, for ``load_lora_weights`` of the model's pipeline (of HunyuanVideo 1.5, which has none,
            ``pipeline.transformer.load_lora_adapter``); ``comfyui``, for the loaders of its core; ``kohya``, for his
            musubi-tuner; or ``peft``, for any network.
        rank: write differences of weights as factors of this rank.
        overwrite: whether an adapter that is there is replaced.

    Raises:
        MotionError: the motion was not tuned, or the reader loads nothing into its model.
        SettingError: another reader, or a rank that is missing or not needed.
        OutputError: a file cannot be written.
    """
    check_motion(motion)
    check_given(path=path, reader=reader, overwrite=overwrite)
    return write_adapter(motion, Path(path), reader, _readers(motion), as_int(rank), overwrite)


def _readers(motion: Motion) -> Readers:
    """Who loads adapters of the motion's model; nobody where its family is not known here."""
    former = next(iter(motion.adapter()), "").partition(".")[0]
    found = families().get(motion.family or FORMER.get(former, ""))
    return Readers() if found is None else found.readers
