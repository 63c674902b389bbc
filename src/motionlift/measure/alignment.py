"""What CLIP says of a video: how well its frames go with a sentence, and how alike neighbours in time are.

Sources: CLIP (2103.00020); *CLIP-T* and *frame consistency* as the papers on motion transfer report them, MotionMatcher's
released program among them. Cosines are given as they are; papers often print 100 times as much.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from motionlift.errors import InputError, ModelError
from motionlift.measure.metric import PROMPT, Figure, Job, Metric, Need
from motionlift.measure.trackers import HASH_CHARACTERS
from motionlift.models.identity import sample_of
from motionlift.models.quiet import quiet
from motionlift.video.limits import Image

BATCH = 8
"""Frames encoded at a time (ours)."""
LETTER = "a"
"""What every vocabulary of English has."""


@dataclass(frozen=True)
class Alignment:
    """Cosines between CLIP's embeddings, -1..1."""

    text: float | None
    """Mean over frames of the cosine with the prompt; None without a prompt."""
    frames: float
    """Mean of the cosine of every two neighbouring frames; NaN for one frame."""


class ClipModel:
    """A CLIP checkpoint, in evaluation mode on the CPU."""

    @quiet()
    def __init__(self, name: str):
        """Load one by its folder or its name on the Hugging Face hub; only safetensors are read.

        Raises:
            ModelError: there is none, it is no CLIP model, or a part of it is missing.
        """
        from transformers import AutoTokenizer, CLIPModel

        # from its own place: older transformers want torchvision of whoever imports it from theirs
        from transformers.models.auto.image_processing_auto import AutoImageProcessor

        self.name = name
        try:
            loaded: Any = CLIPModel.from_pretrained(name, use_safetensors=True, output_loading_info=True)
            self._model: Any = loaded[0].eval()
            self._tokenizer: Any = AutoTokenizer.from_pretrained(name)
            self._processor: Any = AutoImageProcessor.from_pretrained(name, backend="pil")
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError) as error:
            reason = " ".join(str(error).split()).split(". ")[0][:200]
            raise ModelError(
                f"{name!r} is not to be had as a CLIP model ({reason}); give a folder or a hub name with safetensors, "
                "such as openai/clip-vit-large-patch14"
            ) from error
        self._check_whole(loaded[1])

    @functools.cached_property
    def about(self) -> dict[str, str | int]:
        """What decides its numbers: its name, the hub's revision, the size of its pictures, and a hash of its weights."""
        told: dict[str, str | int] = {"name": self.name}
        revision = getattr(self._model.config, "_commit_hash", None)
        if revision:
            told["revision"] = revision
        vision = self._model.config.vision_config
        return told | {
            "side": vision.image_size,
            "patch": vision.patch_size,
            "weights": sample_of(self._model)[:HASH_CHARACTERS],
        }

    def _check_whole(self, about: Mapping[str, Any]) -> None:
        """Refuse what transformers would make up: random numbers for weights, or a tokenizer without words."""
        lacking = sorted(map(str, [*about["missing_keys"], *about["mismatched_keys"]]))
        if lacking:
            raise ModelError(
                f"{self.name!r} lacks {len(lacking)} of CLIP's tensors or has them in another size, such as "
                f"{lacking[0][:100]}; fetch it again, or give another folder or hub name"
            )
        if self._tokenizer.unk_token_id in self._tokenizer(LETTER, add_special_tokens=False).input_ids:
            raise ModelError(
                f"{self.name!r} has no tokenizer: it knows no {LETTER!r}; fetch the tokenizer's files too, or give another "
                "folder or hub name"
            )

    @torch.no_grad()
    def of_text(self, prompt: str) -> Float[Tensor, " features"]:
        """The embedding of a sentence, of length one; what exceeds CLIP's window is cut off, as its users do."""
        tokens = self._tokenizer(prompt, truncation=True, padding="max_length", return_tensors="pt")
        return _unit(_pooled(self._model.get_text_features(**tokens)))[0]

    def of_frames(self, frames: Iterable[Image]) -> Iterator[Float[Tensor, " features"]]:
        """The embeddings of RGB frames, of length one, in their order; frames are read a batch at a time."""
        for batch in _batches(frames):
            yield from self._encoded(batch)

    @torch.no_grad()
    def _encoded(self, batch: list[Image]) -> Float[Tensor, "frames features"]:
        pixels = self._processor(images=batch, return_tensors="pt", input_data_format="channels_last")
        return _unit(_pooled(self._model.get_image_features(pixel_values=pixels["pixel_values"])))


def clip_alignment(frames: Iterable[Image], model: ClipModel, prompt: str = "") -> Alignment:
    """Go through a video once: cosine of its frames with the prompt, and of every two neighbours.

    Raises:
        InputError: no frame came.
    """
    text = model.of_text(prompt) if prompt.strip() else None
    alike, consistent = [], []
    before: Tensor | None = None
    for embedding in model.of_frames(frames):
        if text is not None:
            alike.append(float(embedding @ text))
        if before is not None:
            consistent.append(float(embedding @ before))
        before = embedding
    if before is None:
        raise InputError("no frame came; give a video")
    return Alignment(
        float(np.mean(alike)) if alike else None, float(np.mean(consistent)) if consistent else float("nan")
    )


def _batches(frames: Iterable[Image]) -> Iterator[list[Image]]:
    batch: list[Image] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _pooled(output: Any) -> Tensor:
    """The embedding, which some versions of transformers wrap."""
    return output if isinstance(output, Tensor) else output.pooler_output


def _unit(embedding: Tensor) -> Tensor:
    return embedding / embedding.norm(dim=-1, keepdim=True)


_clip = functools.lru_cache(maxsize=1)(ClipModel)
"""Loaded once for many videos; what was not to be had is looked for again the next time."""

CLIP_MODEL = Need(
    "a CLIP model",
    "name a CLIP model, a folder or a hub name such as openai/clip-vit-large-patch14 (motionlift score --clip-model, or clip_model "
    "in a run file)",
    lambda job: job.clip_model is not None,
)


def _measured(job: Job) -> Mapping[str, float]:
    assert job.clip_model is not None  # both figures need it
    model = _clip(job.clip_model)
    job.measured_by["clip"] = model.about
    found = clip_alignment(job.generated, model, job.prompt if job.wants("clip_text") else "")
    return {"clip_frames": found.frames, **({} if found.text is None else {"clip_text": found.text})}


METRIC = Metric(
    "alignment",
    30,
    (
        Figure(
            "clip_text",
            "CLIP text",
            "how well the frames go with the prompt by CLIP; 100 times as much in many tables",
            "cosine, -1 to 1",
            better=1,
            needs=(CLIP_MODEL, PROMPT),
            column=130,
        ),
        Figure(
            "clip_frames",
            "CLIP consistency",
            "how alike neighbouring frames are by CLIP",
            "cosine, -1 to 1",
            better=1,
            needs=(CLIP_MODEL,),
            column=140,
        ),
    ),
    _measured,
)
"""What CLIP says."""
