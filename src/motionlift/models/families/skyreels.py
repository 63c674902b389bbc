"""SkyReels V2: Wan's transformer, trained further."""

from motionlift.models.positions import RotaryModule
from motionlift.models.transformer import Row

MODEL = Row(
    family="skyreels",
    pipelines=("SkyReelsV2Pipeline",),
    transformers=("SkyReelsV2Transformer3DModel",),
    fps=24.0,
    scheduler="UniPC of the second order",
    blocks=("blocks",),
    feed_forward=("ffn",),
    single=("vae",),
    placing=RotaryModule("rope"),
    defaults={"cfg": 6.0},
)
"""Size and guidance by the published pipeline's defaults."""
