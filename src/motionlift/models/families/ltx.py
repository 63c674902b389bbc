"""LTX-Video: latents packed into tokens by the pipeline."""

from motionlift.models.picturing import Picturing
from motionlift.models.positions import RotaryModule
from motionlift.models.transformer import Row
from motionlift.motion.original import LTX, Readers

MODEL = Row(
    family="ltx",
    licence="LTXV Open Weights",
    pipelines=("LTXPipeline", "LTXImageToVideoPipeline"),
    transformers=("LTXVideoTransformer3DModel",),
    fps=25.0,
    multiple=32,
    axes="bnc",
    sizes=((512, 704), (704, 512)),
    picturing=Picturing("LTXImageToVideoPipeline"),
    context_parallel=True,
    placing=RotaryModule("rope"),
    readers=Readers("transformer", (LTX,)),
    defaults={"cfg": 3.0},
)
"""Size, rate and guidance by the published pipeline's defaults."""
