"""Layers of networks by the names of the programs that they were published with, beside diffusers' names.

Adapters go by names, and most readers skip those that they do not know without a word. ComfyUI takes the names of its own networks,
which are the published ones: ``diffusion_model.`` and a layer's name (``model_lora_keys_unet`` in its comfy/lora.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Blocks:
    """A list of a network's blocks, and the linear layers in each."""

    own: str
    """What diffusers calls the list."""
    original: str
    """What it is called originally."""
    layers: Mapping[str, tuple[str, ...]]
    """By the original name of a layer: the layers of diffusers whose rows it holds, from the first to the last."""
    swapped: tuple[str, ...] = ()
    """Original layers whose rows stand in two halves, the second first in diffusers."""
    wider: Mapping[str, int] = field(default_factory=dict)
    """Layers of diffusers that have so many times as many rows as columns; others that are held together are square or alike."""


@dataclass(frozen=True)
class Readers:
    """Who else loads adapters of a family, beside peft, which loads them into any network."""

    diffusers: str | None = None
    """What diffusers' loaders want before a layer's name, whichever network of a pipeline it is for; none where they load none."""
    comfyui: tuple[Blocks, ...] = ()
    """The layers by their original names, as ComfyUI takes them; none where it takes none."""
    kohya: tuple[Blocks, ...] = ()
    """The layers by the names of the networks of kohya's musubi-tuner; none where it has none."""

    def loading(self, reader: str) -> bool:
        """Whether a reader loads adapters of the family, by the name that ``--for`` has for it."""
        return reader == "peft" or bool(
            {"diffusers": self.diffusers, "comfyui": self.comfyui, "kohya": self.kohya}[reader]
        )


def same(blocks: str, *layers: str) -> Blocks:
    """Blocks of which diffusers has kept the original names."""
    return Blocks(blocks, blocks, {layer: (layer,) for layer in layers})


WAN = Blocks(
    own="blocks",
    original="blocks",
    layers={
        **{f"self_attn.{name}": (f"attn1.to_{name}",) for name in "qkv"},
        "self_attn.o": ("attn1.to_out.0",),
        **{f"cross_attn.{name}": (f"attn2.to_{name}",) for name in "qkv"},
        "cross_attn.o": ("attn2.to_out.0",),
        "cross_attn.k_img": ("attn2.add_k_proj",),
        "cross_attn.v_img": ("attn2.add_v_proj",),
        "ffn.0": ("ffn.net.0.proj",),
        "ffn.2": ("ffn.net.2",),
    },
)
"""Wan's, and those of what was trained from it (``wan/modules/model.py`` of Wan 2.1)."""
LTX = same(
    "transformer_blocks",
    *(f"{attention}.{layer}" for attention in ("attn1", "attn2") for layer in ("to_q", "to_k", "to_v", "to_out.0")),
    *("ff.net.0.proj", "ff.net.2"),
)
"""Those of LTX-Video, and of the video in LTX-2 (``ltx_video/models/transformers/transformer3d.py`` of LTX-Video)."""
QKV = ("attn.to_q", "attn.to_k", "attn.to_v")
ADDED_QKV = ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")
"""What the HunyuanVideos and their like hold in one layer: of the video, and of the text."""
