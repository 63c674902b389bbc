"""Constants of DiTFlow (2412.07776) that its ablations and baselines share: sampling, the optimiser, and how the reference is read.

The paper ran on CogVideoX 2B and 5B. Its program is ditflow/ditflow, read at 4db379b: ``configs/guidance_config.yaml`` and
``motion_guidance.py``.
"""

from collections.abc import Mapping

from motionlift.core.presets import Constants, Preset, said

NEGATIVE_PROMPT = "bad quality, distortions, unrealistic, distorted image, watermark, signature"
"""What the program weighs the prompt against."""
WIDTH, HEIGHT, FRAMES = 720, 480, 24
"""Size and length of its videos (paper)."""
LAST_RATE = 0.0011
"""The program draws its line of learning rates over eleven points and uses ten of them; the paper's line ends at 0.001."""
LOOP = {"share": 0.2, "inner": 5, "optimizer": "adam", "lr": 0.002, "target": "latents", "inject": True}
"""The guided loop, of which paper and program say the same."""
SAMPLING = {"steps": 50, "cfg": 7.0, "frames": FRAMES, "size": (WIDTH, HEIGHT)}
"""Sampling and size, likewise."""
BLOCKS = {"cogvideox-2b": (15,), "cogvideox-5b": (20,)}
"""The block that is read, likewise."""
DYNAMIC = {"cogvideox-2b": False, "cogvideox-5b": True}
"""Whether the guidance scale varies, by the formula of 5B's own pipeline (released); what we read of the paper does not say it."""
SAMPLERS = {"cogvideox-2b": "ddim", "cogvideox-5b": "dpm-sde"}
"""By what the program samples; the paper does not say."""
LACKS = (
    "the program encodes the reference to a sample of the autoencoder's posterior; here it is the posterior's mode",
    "the program writes its videos at 8 frames a second; here they have the reference's own rate",
    "the program runs 2B in fp16, with losses scaled for it, and 5B in bf16; here both are in the type that they are loaded in, by "
    "default bf16 on a GPU",
)
"""What the program does that no constant here says."""


def paper_sampling(blocks: bool = True) -> dict[str, Constants]:
    """What the paper states of its models; the blocks too, where a method reads one."""
    return {name: said("paper", **SAMPLING, **({"block": block} if blocks else {})) for name, block in BLOCKS.items()}


def released_sampling(blocks: bool = True) -> dict[str, Constants]:
    """What the program does with its models, likewise."""
    return {
        name: {
            **said("released, configs/guidance_config.yaml", **SAMPLING, **({"block": block} if blocks else {})),
            **said("released, motion_guidance.py", dynamic_cfg=DYNAMIC[name], negative_prompt=NEGATIVE_PROMPT),
            **said("released, motion_guidance.py", sampler=SAMPLERS[name]),
        }
        for name, block in BLOCKS.items()
    }


def published(
    blocks: bool = True,
    paper: Constants | None = None,
    released: Constants | None = None,
    released_models: Mapping[str, Constants] | None = None,
    **loop: object,
) -> dict[str, Preset]:
    """The presets of DiTFlow, or of a method that the paper compares it with, whose guided loop is the same.

    Args:
        blocks: whether the method reads a block.
        paper: what the paper says of the method beside the loop.
        released: what the program does of it.
        released_models: what it does of it with a model.
        loop: what of :data:`LOOP` differs, where something does.
    """
    own = {**LOOP, **loop}
    models = released_sampling(blocks)
    return {
        "paper": Preset({**said("paper", **own, lr_end=0.001), **(paper or {})}, paper_sampling(blocks)),
        "released": Preset(
            {
                **said("released, configs/guidance_config.yaml", **own),
                **said("released: ten of the eleven points of a line to 0.001", lr_end=LAST_RATE),
                **said("released, motion_guidance.py", fit="stretch", every_frame=True),
                **(released or {}),
            },
            {name: {**constants, **(released_models or {}).get(name, {})} for name, constants in models.items()},
            LACKS,
        ),
    }
