"""Allegro: predicts noise, and is sampled by the DDIM of its noise schedule; its autoencoder works in tiles only."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from motionlift.models.codecs import GroupAutoencoder
from motionlift.models.transformer import Row


@dataclass(frozen=True)
class AllegroAutoencoder(GroupAutoencoder):
    """Allegro's: its decoder puts frames before channels."""

    def _video(self, decoded: Tensor) -> Tensor:
        return decoded.transpose(1, 2)


def _size(pipeline: Any) -> tuple[int, int]:
    config, side = pipeline.transformer.config, pipeline.vae_scale_factor_spatial
    return config.sample_height * side, config.sample_width * side


def _frames(pipeline: Any) -> int:
    return pipeline.transformer.config.sample_frames * pipeline.vae_scale_factor_temporal


MODEL = Row(
    family="allegro",
    licence="Apache-2.0",
    pipelines=("AllegroPipeline",),
    transformers=("AllegroTransformer3DModel",),
    fps=15.0,
    scheduler="Euler with fresh noise in every step",
    diffusion="DDIMScheduler",
    codec=AllegroAutoencoder,
    tiled=True,
    size=_size,
    frames=_frames,
    defaults={"cfg": 7.5, "steps": 100},
)
"""Size, steps and guidance by the published pipeline's defaults. It was published for 1280x720 alone (model card)."""
