"""SkyReels V2: Wan's transformer, trained further."""

from motionlift.models.positions import RotaryModule
from motionlift.models.transformer import Row
from motionlift.motion.original import WAN, Readers

MODEL = Row(
    family="skyreels",
    licence="Skywork Community",
    pipelines=("SkyReelsV2Pipeline",),
    transformers=("SkyReelsV2Transformer3DModel",),
    fps=24.0,
    multiple=16,
    scheduler="UniPC of the second order",
    blocks=("blocks",),
    feed_forward=("ffn",),
    single=("vae",),
    placing=RotaryModule("rope"),
    readers=Readers("transformer", (WAN,)),
    defaults={"cfg": 6.0},
)
"""Size and guidance by the published pipeline's defaults."""
