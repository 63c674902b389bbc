"""Wan 2.1 and 2.2: flow-matching transformers whose attention to the text is apart.

Of 2.2, A14B has two networks, the second for levels below a boundary; TI2V-5B tells every token a time of its own.
"""

from motionlift.models.picturing import Picturing
from motionlift.models.positions import RotaryModule
from motionlift.models.transformer import Published, Row
from motionlift.motion.original import WAN, Readers

MODEL = Row(
    family="wan",
    licence="Apache-2.0",
    pipelines=("WanPipeline", "WanImageToVideoPipeline"),
    transformers=("WanTransformer3DModel",),
    fps=16.0,
    multiple=16,
    scheduler="UniPC of the second order",
    blocks=("blocks",),
    feed_forward=("ffn",),
    sizes=((480, 832), (832, 480), (720, 1280), (1280, 720)),
    single=("vae",),
    picturing=Picturing("WanImageToVideoPipeline", lambda pipeline: bool(pipeline.config.get("expand_timesteps"))),
    context_parallel=True,
    placing=RotaryModule("rope"),
    readers=Readers("transformer", (WAN,), (WAN,)),
    defaults={"cfg": 5.0},
    published={
        "wan2.2-ti2v-5b": Published(
            {"expand_timesteps": True, "num_layers": 30},
            size=(704, 1280),
            sizes=((704, 1280), (1280, 704)),
            frames=121,
            fps=24.0,
        ),
        "wan2.2-t2v-a14b": Published(
            {"boundary_ratio": 0.875, "num_layers": 40}, defaults={"steps": 40, "cfg": 4.0, "second_cfg": 3.0}
        ),
        "wan2.2-i2v-a14b": Published({"boundary_ratio": 0.9, "num_layers": 40}, defaults={"steps": 40, "cfg": 3.5}),
        "wan2.1-i2v-14b": Published({"num_layers": 40, "image_dim": 1280}),
        "wan2.1-t2v-1.3b": Published({"num_layers": 30, "num_attention_heads": 12}),
        "wan2.1-t2v-14b": Published({"num_layers": 40, "num_attention_heads": 40}),
        "tiny-wan": Published(
            {"name": "tiny-wan"},
            size=(64, 64),
            sizes=((64, 64),),
            frames=17,
            fps=8.0,
            defaults={"steps": 30, "cfg": 4.0},
        ),
    },
)
"""Size, rate and guidance by the published pipelines' defaults and model cards. The autoencoder is meant for single precision
(docstring of the published pipeline)."""
