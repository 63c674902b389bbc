"""The parts of ``tiny-wan``: a complete Wan pipeline of the TI2V kind, small enough to ship and to train on two cores.

Sizes are ours. The autoencoder has the published 4x in time and, with three stages, 4x in space; patches of 2x2 latents give a
lattice of 8x8 tokens for a 64x64 frame and five latent frames for seventeen. Text is read by an attention of its own, and
every token may have its own time: a first frame that is given is one whose tokens' times are zero.
"""

from collections.abc import Mapping
from typing import Any

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanAttention
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

from lab.training.autoencoding import AutoencoderStage
from lab.training.diffusing import Recipe, flow_loss
from lab.training.worlds import NAMED_WORLD
from motionlift.world.named import named_vocabulary

FRAME_SIZE = 64
FRAMES = 17
CHANNELS = 12
"""Channels of the latents: 17 crisp frames on textured grounds in a twentieth, nearly, of their numbers."""
TEXT_TOKENS = 24
"""Text window in training: the longest caption has 19 words, and an end token."""
TEXT_WINDOW = 512
"""Text window of the pipeline's own call, padded with zeros that are attended to; training counts its own padding as so much."""
FLOW_SHIFT = 3.0
"""That of the published pipelines at 480p."""
TRUTH_BLOCK = 3
"""Block whose tokens must tell the truth of their scene (ours)."""
SPEEDS = (1, 2, 4)
"""How fast clips of several latent frames move (ours)."""
OBJECT_WEIGHT = 4.0
"""Extra weight of pixels on and near objects in the autoencoder's training on videos (ours): without it the latents of several
frames keep the grain of the ground, and of the object a smear."""
TURNS = 32
"""Turns of clips of all lengths (ours)."""
_TURN = (
    AutoencoderStage(steps=15, clips=4, frames=5, crop=64, objects=OBJECT_WEIGHT),
    AutoencoderStage(steps=20, clips=4, frames=9, crop=64, speeds=SPEEDS, objects=OBJECT_WEIGHT),
    AutoencoderStage(steps=30, clips=2, frames=17, crop=64, speeds=SPEEDS, objects=OBJECT_WEIGHT),
)
STAGES = (
    AutoencoderStage(steps=3000, clips=8, frames=1, crop=64),
    AutoencoderStage(steps=1000, clips=4, frames=5, crop=32, objects=OBJECT_WEIGHT),
    AutoencoderStage(steps=1500, clips=4, frames=9, crop=32, objects=OBJECT_WEIGHT),
    *TURNS * _TURN,
)
"""The autoencoder's training. A path takes the whole clip, so clips of five and nine frames move four times and twice as fast as
those of seventeen, but at most one of their latent frames follows another of several frames: longer ones are made faster too, so
that what lies between latent frames is learnt (decision 57; ours)."""
DECODER_FRAMES = (17, 9, 5)
"""Frames of the clips of the decoder's own training, in turns."""
HALVED_AUTOENCODER = False
"""Not in bfloat16, in which a step takes nine tenths as long. On CPUs with AMX, PyTorch 2.13 then gives a convolution of 64 columns
and more than 16 channels a gradient of its weights that is not a number, or off by a tenth (measured)."""
RECIPE = Recipe(
    size=FRAME_SIZE,
    frames=FRAMES,
    banks=(30_000, 12_000),
    batches=(16, 8),
    frame_steps=12_000,
    video_steps=28_000,
    stride=4,
    widths=(192, 128),
    time_shift=FLOW_SHIFT,
    compiled=True,
    frames_compiled=True,
    matched=False,
    motions_named=True,
)
"""How it is trained. Nothing is asked of its attention."""
STAGE_NAMES = ("autoencoder", "decoder", "denoiser")
"""Stages of its training, in order."""
SAMPLING: Mapping[str, Any] = {}
"""What its pipeline needs to be told beside prompt and sizes."""
WORLD, LOSS = NAMED_WORLD, flow_loss
"""What it learns from, and the loss of its network."""
GRID_CAPTIONS = (
    "a red car driving to the right on a grey road",
    "a yellow fish in the sea",
    "a white rocket on a blue striped background",
    "a green butterfly flying in a circle on the sand",
    "an orange cat jumping on the grass",
    "a purple star and a cyan boat in the night",
)
"""Captions of the sample grid."""


def autoencoder() -> AutoencoderKLWan:
    """A new autoencoder, 2 M parameters; its decoder is the wider half, for edges and textures are drawn by it."""
    return AutoencoderKLWan(
        base_dim=16,
        decoder_base_dim=24,
        z_dim=CHANNELS,
        dim_mult=[1, 2, 3],
        num_res_blocks=1,
        temperal_downsample=[True, True],
        latents_mean=[0.0] * CHANNELS,
        latents_std=[1.0] * CHANNELS,
        scale_factor_spatial=4,
        scale_factor_temporal=4,
    )


def tokenizer() -> T5Tokenizer:
    """One piece for each word of the world; any other word becomes the unknown piece."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0)]
    pieces += [(f"▁{word}", -2.0) for word in named_vocabulary()]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=TEXT_TOKENS)


def text_encoder() -> UMT5EncoderModel:
    """A new text encoder of two layers."""
    return UMT5EncoderModel(
        UMT5Config(
            vocab_size=len(named_vocabulary()) + 3,
            d_model=128,
            d_kv=32,
            d_ff=256,
            num_layers=2,
            num_heads=4,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
            pad_token_id=0,
            eos_token_id=1,
            decoder_start_token_id=0,
        )
    )


def transformer() -> WanTransformer3DModel:
    """A new transformer of seven blocks, six heads of 32, rotary positions, 4.5 M parameters."""
    return WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=6,
        attention_head_dim=32,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        text_dim=128,
        freq_dim=64,
        ffn_dim=768,
        num_layers=7,
        rope_max_seq_len=64,
    )


def scheduler() -> UniPCMultistepScheduler:
    """The published schedule of Wan: flow matching in steps of UniPC, shifted toward the noise."""
    return UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=FLOW_SHIFT, num_train_timesteps=1000
    )


def pipeline(vae: AutoencoderKLWan) -> WanPipeline:
    """A pipeline of new parts around an autoencoder."""
    return WanPipeline(
        tokenizer=tokenizer(),  # pyright: ignore[reportArgumentType]
        text_encoder=text_encoder(),
        vae=vae,
        transformer=transformer(),
        scheduler=scheduler(),  # pyright: ignore[reportArgumentType]
        expand_timesteps=True,
    )


class PlainAttention:
    """Attends as the published processor does, in products of matrices, with a bias on each word.

    The gradient of PyTorch's fused attention takes most of a step on a CPU; compiled, this form takes four fifths as long on videos
    and little more than half on single frames (measured).
    """

    bias: Float[Tensor, "clips 1 1 words"] | None = None
    """Added to the logits of words; none within the video."""

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Float[Tensor, "clips tokens width"],
        encoder_hidden_states: Float[Tensor, "clips words width"] | None = None,
        attention_mask: None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Float[Tensor, "clips tokens width"]:
        """Hidden states after the attention, among themselves or to the words."""
        read = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        projected = attn.norm_q(attn.to_q(hidden_states)), attn.norm_k(attn.to_k(read)), attn.to_v(read)
        query, key, value = (each.unflatten(2, (attn.heads, -1)).transpose(1, 2) for each in projected)
        if rotary_emb is not None:
            query, key = (_turned(each, *rotary_emb) for each in (query, key))
        logits = query * query.shape[-1] ** -0.5 @ key.transpose(-1, -2)
        if encoder_hidden_states is not None and self.bias is not None:
            logits = logits + self.bias.to(logits.dtype)
        found = (logits.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](found))


def _turned(
    vectors: Float[Tensor, "clips heads tokens width"],
    cosines: Float[Tensor, "1 tokens 1 width"],
    sines: Float[Tensor, "1 tokens 1 width"],
) -> Float[Tensor, "clips heads tokens width"]:
    """Rotary positions: neighbouring numbers are a point that is turned."""
    one, other = vectors.unflatten(-1, (-1, 2)).unbind(-1)
    cosine, sine = cosines.transpose(1, 2)[..., 0::2], sines.transpose(1, 2)[..., 1::2]
    turned = torch.stack([one * cosine - other * sine, one * sine + other * cosine], dim=-1)
    return turned.flatten(-2).type_as(vectors)


def padding_bias(known: Float[Tensor, "clips words"]) -> Float[Tensor, "clips 1 1 words"]:
    """Logits by which the padding of a short window counts as much as all of the pipeline's own.

    Args:
        known: one where a word is known, zero where it is padding. Padding is zero for all, so all of it has one key.
    """
    words = known.sum(dim=1, keepdim=True)
    padding = known.shape[1] - words
    more = torch.log((TEXT_WINDOW - words) / padding.clamp(min=1))
    return ((1 - known) * more)[:, None, None]


class Denoiser(nn.Module):
    """Text encoder and transformer as one module, for one optimiser and one checkpoint."""

    def __init__(self, pipeline: WanPipeline):
        super().__init__()
        transformer: Any = pipeline.transformer
        self.text_encoder: Any = pipeline.text_encoder
        self.transformer = transformer
        self.hidden: Tensor | None = None
        self.words: Tensor | None = None
        self._reading = PlainAttention()
        transformer.blocks[TRUTH_BLOCK].register_forward_hook(self._keep)
        for block in transformer.blocks:
            block.attn1.set_processor(self._reading)
            block.attn2.set_processor(self._reading)

    def _keep(self, _block: nn.Module, _inputs: Any, output: Tensor) -> None:
        """Keep the video tokens that leave :data:`TRUTH_BLOCK`."""
        self.hidden = output

    def attended(self) -> list[Float[Tensor, "clips tokens words"]]:
        """None: nothing is asked of its attention to words."""
        return []

    def forward(
        self,
        noisy: Float[Tensor, "b f c h w"],
        time: Float[Tensor, " b"] | Float[Tensor, "b f"],
        tokens: Int[Tensor, "b n"],
    ) -> Float[Tensor, "b f c h w"]:
        """Predicted flow; the time is that of a whole clip, or of each of its latent frames."""
        known = (tokens != self.text_encoder.config.pad_token_id).float()
        words = self.text_encoder(tokens, known.long()).last_hidden_state
        self.words = text = words * known[..., None].to(words.dtype)
        _, height, width = self.transformer.config.patch_size
        if time.ndim == 2:
            time = time.repeat_interleave(noisy.shape[3] // height * (noisy.shape[4] // width), dim=1)
        self._reading.bias = padding_bias(known)
        try:
            return self.transformer(noisy.transpose(1, 2), time, text, return_dict=False)[0].transpose(1, 2)
        finally:
            self._reading.bias = None
