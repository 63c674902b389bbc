"""The parts of ``tiny-unet``: a complete ModelScope-style pipeline, small enough to ship and to train on two cores.

Sizes are ours. The autoencoder has 4x in space and none in time. The network's attention, cross, spatial and temporal, works on
a lattice of 8x8 in each of sixteen frames; convolutions alone work on the latents' own 16x16.
"""

import itertools
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, TransformerTemporalModel, UNet3DConditionModel
from diffusers.models.resnet import TemporalConvLayer
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from lab.training.autoencoding import AutoencoderStage
from lab.training.diffusing import Recipe, denoising_loss
from lab.training.worlds import SHAPES_WORLD
from motionlift.world.scenes import vocabulary

FRAME_SIZE = 64
FRAMES = 16
TEXT_TOKENS = 24
"""Text window: the longest caption of two objects has 15 words, between a start and an end token."""
STAGES = (AutoencoderStage(steps=3000, clips=8, frames=1, crop=64),)
"""The autoencoder's training: it knows single frames only (ours)."""
HALVED_AUTOENCODER = True
"""Whether the autoencoder is trained in bfloat16."""
RECIPE = Recipe(
    size=FRAME_SIZE,
    frames=FRAMES,
    banks=(20_000, 4_000),
    batches=(16, 4),
    frame_steps=5_000,
    video_steps=4_200,
    stride=1,
    widths=(96, 96),
    time_shift=1.2,
    compiled=False,
)
"""How it is trained."""
STAGE_NAMES = ("autoencoder", "denoiser")
"""Stages of its training, in order."""
SAMPLING: Mapping[str, Any] = {}
"""What its pipeline needs to be told beside prompt and sizes."""
WORLD, LOSS = SHAPES_WORLD, denoising_loss
"""What it learns from, and the loss of its network."""
GRID_CAPTIONS = (
    "a red star on a blue striped background",
    "a yellow circle on a purple checkered background",
    "a white cross on a green plain background",
    "a cyan triangle on a brown gradient background",
    "a green ring on a grey plain background",
    "an orange square and a blue bar on a grey striped background",
)
"""Captions of the sample grid."""


def autoencoder() -> AutoencoderKL:
    """A new autoencoder."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(24, 48, 64),
        latent_channels=8,
        layers_per_block=1,
        norm_num_groups=8,
        sample_size=FRAME_SIZE,
        scaling_factor=1.0,
    )


def tokenizer() -> CLIPTokenizer:
    """One token for each word of the world; any other word is spelt in smaller pieces."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = [*letters, *[f"{letter}</w>" for letter in letters]]
    merges: list[tuple[str, str]] = []
    for word in vocabulary():
        parts = _merged([*word[:-1], f"{word[-1]}</w>"], merges)
        while len(parts) > 1:  # a later merge never comes before an earlier one, so words already whole stay whole
            merges.append((parts[0], parts[1]))
            parts = [parts[0] + parts[1], *parts[2:]]
            pieces.append(parts[0])
    return CLIPTokenizer(
        vocab={piece: number for number, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])},
        merges=merges,
        model_max_length=TEXT_TOKENS,
    )


def _merged(parts: list[str], merges: Sequence[tuple[str, str]]) -> list[str]:
    """A word's letters after all merges, the earliest first, as byte-pair encoding applies them."""
    while True:
        pairs = [pair for pair in itertools.pairwise(parts) if pair in merges]
        if not pairs:
            return parts
        place = [*itertools.pairwise(parts)].index(min(pairs, key=merges.index))
        parts = [*parts[:place], parts[place] + parts[place + 1], *parts[place + 2 :]]


def text_encoder() -> CLIPTextModel:
    """A new text encoder of two layers."""
    words = tokenizer()
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=96,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TEXT_TOKENS,
            bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
        )
    )


def network() -> UNet3DConditionModel:
    """A new network of two levels: 16x16 with convolutions, 8x8 with attention of six heads of 16.

    Its temporal layers begin without effect, as ModelScope inflated a model of pictures.
    """
    unet = UNet3DConditionModel(
        sample_size=FRAME_SIZE // 4,
        in_channels=8,
        out_channels=8,
        down_block_types=("DownBlock3D", "CrossAttnDownBlock3D"),
        up_block_types=("CrossAttnUpBlock3D", "UpBlock3D"),
        block_out_channels=(48, 96),
        layers_per_block=1,
        norm_num_groups=12,
        cross_attention_dim=96,
        attention_head_dim=16,
    )
    for layer in temporal_layers(unet):
        if isinstance(layer, TransformerTemporalModel):
            nn.init.zeros_(layer.proj_out.weight)
            nn.init.zeros_(layer.proj_out.bias)
    return unet


def temporal_layers(unet: UNet3DConditionModel) -> list[nn.Module]:
    """Convolutions and transformers over time."""
    return [layer for layer in unet.modules() if isinstance(layer, TemporalConvLayer | TransformerTemporalModel)]


def leave_out_for_pictures(layer: nn.Module) -> None:
    """Let a temporal layer pass single frames on unchanged: pictures then cost half and teach the spatial layers alone (ours)."""
    whole = layer.forward

    def forward(hidden: Tensor, *rest: Any, num_frames: int = 1, **options: Any) -> Any:
        if num_frames > 1:
            return whole(hidden, *rest, num_frames=num_frames, **options)
        return hidden if isinstance(layer, TemporalConvLayer) else (hidden,)

    layer.forward = forward


def scheduler() -> DDIMScheduler:
    """The published schedule of ModelScope and ZeroScope: noise predicted, steps shifted by one."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def pipeline(vae: AutoencoderKL) -> Any:
    """A pipeline of new parts around an autoencoder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # diffusers moved the class and says so
        from diffusers import TextToVideoSDPipeline

        return TextToVideoSDPipeline(
            vae=vae, text_encoder=text_encoder(), tokenizer=tokenizer(), unet=network(), scheduler=scheduler()
        )


def _keep_in(kept: dict[str, Tensor], name: str, _linear: nn.Module, _inputs: Any, output: Tensor) -> None:
    """Keep what a linear layer gives."""
    kept[name] = output


class Denoiser(nn.Module):
    """Text encoder and network as one module, for one optimiser and one checkpoint."""

    def __init__(self, pipeline: Any):
        super().__init__()
        self.text_encoder = pipeline.text_encoder
        self.network: UNet3DConditionModel = pipeline.unet
        self.hidden: Tensor | None = None
        self.words: Tensor | None = None
        self.attention: dict[str, Tensor] = {}
        self.naming: list[dict[str, Tensor]] = []
        self.network.mid_block.register_forward_hook(self._keep)
        matching: Any = self.network.get_submodule("up_blocks.0.attentions.0.transformer_blocks.0.attn1")
        matching.to_q.register_forward_hook(partial(self._keep_attention, "query"))
        matching.to_k.register_forward_hook(partial(self._keep_attention, "key"))
        self.heads = matching.heads
        for name, module in self.network.named_modules():
            if name.endswith("transformer_blocks.0.attn2") and ".attentions." in name:
                kept: dict[str, Tensor] = {}
                self.naming.append(kept)
                crossing: Any = module
                crossing.to_q.register_forward_hook(partial(_keep_in, kept, "query"))
                crossing.to_k.register_forward_hook(partial(_keep_in, kept, "key"))
        for layer in temporal_layers(self.network):
            leave_out_for_pictures(layer)

    def _keep(self, _block: nn.Module, _inputs: Any, output: Tensor) -> None:
        """Keep what leaves the middle block, ``(clips frames) channels height width``."""
        self.hidden = output

    def _keep_attention(self, name: str, _linear: nn.Module, _inputs: Any, output: Tensor) -> None:
        """Keep queries or keys of the first spatial attention after the middle, ``(clips frames) tokens channels``."""
        self.attention[name] = output

    def attended(self) -> list[Float[Tensor, "clips tokens words"]]:
        """Attention of every token to every word in each layer, mean over heads."""
        assert self.words is not None
        found = []
        for kept in self.naming:
            query, key = (kept[name].float().unflatten(-1, (self.heads, -1)) for name in ("query", "key"))
            weights = torch.einsum("bthd,bwhd->bhtw", query, key) / query.shape[-1] ** 0.5
            found.append(weights.softmax(dim=-1).mean(dim=1).unflatten(0, (len(self.words), -1)).flatten(1, 2))
        return found

    def forward(
        self, noisy: Float[Tensor, "b f c h w"], time: Int[Tensor, " b"], tokens: Int[Tensor, "b n"]
    ) -> Float[Tensor, "b f c h w"]:
        """Predicted noise."""
        self.words, clips = self.text_encoder(tokens)[0], len(noisy)
        noise = self.network(noisy.transpose(1, 2), time, self.words, return_dict=False)[0].transpose(1, 2)
        assert self.hidden is not None
        self.hidden = self.hidden.flatten(2).transpose(1, 2).unflatten(0, (clips, -1)).flatten(1, 2)
        for name in ("query", "key"):
            joined = self.attention[name].unflatten(0, (clips, -1)).flatten(1, 2)
            self.attention[name] = joined.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return noise
