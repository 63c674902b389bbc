"""SkyReels V2: Wan's transformer, trained further."""

from motionlift.models.positions import RotaryModule
from motionlift.models.transformer import Published, Row
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
    sizes=((544, 960), (960, 544)),
    single=("vae",),
    placing=RotaryModule("rope"),
    readers=Readers("transformer", (WAN,)),
    defaults={"cfg": 6.0},
    published={
        "skyreels-v2-720p": Published(
            {"name": "skyreels-v2-t2v-14b-720p-diffusers"},
            size=(720, 1280),
            sizes=((720, 1280), (1280, 720)),
            frames=121,
        ),
    },
)
"""Size and guidance by the published pipeline's defaults, which are those of the models for 540p; size and length of that for 720p
by its card: nothing but its name tells them apart. The cards name wide sizes alone; upright is ours, as SkyReels V1 has it."""
