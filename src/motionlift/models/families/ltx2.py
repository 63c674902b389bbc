"""LTX-2: packed latents beside audio; the video half is told to leave the audio alone."""

from motionlift.models.picturing import Picturing
from motionlift.models.positions import RotaryModule
from motionlift.models.transformer import UNGUIDED, Row
from motionlift.motion.original import LTX, Readers

MODEL = Row(
    family="ltx2",
    licence="LTX-2 Community",
    pipelines=("LTX2Pipeline", "LTX2ImageToVideoPipeline"),
    transformers=("LTX2VideoTransformer3DModel",),
    fps=24.0,
    multiple=32,
    axes="bnc",
    sizes=((512, 768), (768, 512)),
    picturing=Picturing("LTX2ImageToVideoPipeline"),
    call={
        **UNGUIDED,
        "audio_guidance_scale": 1.0,
        "stg_scale": 0.0,
        "audio_stg_scale": 0.0,
        "modality_scale": 1.0,
        "audio_modality_scale": 1.0,
        "spatio_temporal_guidance_blocks": None,
    },
    fixed={"isolate_modalities": True},
    placing=RotaryModule("rope"),
    readers=Readers("transformer", (LTX,)),
    frames=lambda pipeline: 121,
    finds_words=False,
    defaults={"cfg": 3.0},
)
"""Length, rate and guidance by the published pipeline's defaults; size by those of the published program for one stage
(``ltx_pipelines/utils/constants.py``), and the same upright (ours: it takes any multiples of 32).
Its connectors mix the tokens of a prompt, so that no word can be told among them."""
