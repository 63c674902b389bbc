"""The parts of ``tiny-dit``: a complete CogVideoX pipeline, small enough to ship and to train on two cores.

Sizes are ours. The autoencoder has the published 4x in time and, with three blocks, 4x in space; patches of 2x2 latents give
a lattice of 8x8 tokens for a 64x64 frame and five latent frames for seventeen.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
)
from diffusers.models.embeddings import apply_rotary_emb, get_3d_rotary_pos_embed
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from lab.training.autoencoding import AutoencoderStage
from lab.training.diffusing import Recipe, denoising_loss
from lab.training.worlds import SHAPES_WORLD
from motionlift.world.scenes import vocabulary

FRAME_SIZE = 64
FRAMES = 17
TEXT_TOKENS = 24
"""Text window: the longest caption of two objects has 15 words, and an end token."""
TRUTH_BLOCK, MATCH_BLOCK = 3, 4
"""Blocks whose tokens must tell the truth of their scene, and whose attention must find its matches (ours)."""
STAGES = (
    AutoencoderStage(steps=1600, clips=8, frames=1, crop=64),
    AutoencoderStage(steps=700, clips=4, frames=9, crop=32),
    AutoencoderStage(steps=1300, clips=4, frames=17, crop=32),
    AutoencoderStage(steps=600, clips=2, frames=17, crop=64),
)
"""The autoencoder's training: images first, where steps are cheap; whole clips last, where the statistics of normalisation are
those of use (ours)."""
DECODER_FRAMES = (FRAMES,)
"""Frames of the clips of the decoder's own training, in turns."""
HALVED_AUTOENCODER = True
"""Whether the autoencoder is trained in bfloat16."""
RECIPE = Recipe(
    size=FRAME_SIZE,
    frames=FRAMES,
    banks=(20_000, 5_000),
    batches=(16, 8),
    frame_steps=14_000,
    video_steps=15_500,
    stride=4,
    widths=(192, 128),
    time_shift=0.4,
    compiled=True,
)
"""How it is trained."""
STAGE_NAMES = ("autoencoder", "decoder", "denoiser")
"""Stages of its training, in order."""
SAMPLING: Mapping[str, Any] = {"max_sequence_length": TEXT_TOKENS}
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


def autoencoder() -> AutoencoderKLCogVideoX:
    """A new autoencoder, 1.1 M parameters."""
    return AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 3,
        up_block_types=("CogVideoXUpBlock3D",) * 3,
        block_out_channels=(16, 32, 48),
        latent_channels=8,
        layers_per_block=1,
        norm_num_groups=8,
        temporal_compression_ratio=4,
        sample_height=FRAME_SIZE,
        sample_width=FRAME_SIZE,
        scaling_factor=1.0,
    )


def tokenizer() -> T5Tokenizer:
    """One piece for each word of the world; any other word becomes the unknown piece."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0)]
    pieces += [(f"▁{word}", -2.0) for word in vocabulary()]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=TEXT_TOKENS)


def text_encoder() -> T5EncoderModel:
    """A new text encoder of two layers."""
    return T5EncoderModel(
        T5Config(
            vocab_size=len(vocabulary()) + 3,
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


def transformer() -> CogVideoXTransformer3DModel:
    """A new transformer of seven blocks, six heads of 32, rotary positions."""
    return CogVideoXTransformer3DModel(
        num_attention_heads=6,
        attention_head_dim=32,
        in_channels=8,
        out_channels=8,
        time_embed_dim=64,
        text_embed_dim=128,
        num_layers=7,
        sample_width=FRAME_SIZE // 4,
        sample_height=FRAME_SIZE // 4,
        sample_frames=FRAMES,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=TEXT_TOKENS,
        use_rotary_positional_embeddings=True,
        spatial_interpolation_scale=1.0,
    )


def scheduler() -> CogVideoXDDIMScheduler:
    """The published schedule of CogVideoX-5b: v-prediction, zero terminal signal, trailing spacing, no shift."""
    return CogVideoXDDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        set_alpha_to_one=True,
        clip_sample=False,
        snr_shift_scale=1.0,
    )


def pipeline(vae: AutoencoderKLCogVideoX) -> CogVideoXPipeline:
    """A pipeline of new parts around an autoencoder."""
    return CogVideoXPipeline(
        tokenizer=tokenizer(), text_encoder=text_encoder(), vae=vae, transformer=transformer(), scheduler=scheduler()
    )


def rotary(
    transformer: CogVideoXTransformer3DModel, latents: Float[Tensor, "b f c h w"]
) -> tuple[Float[Tensor, "tokens d"], Float[Tensor, "tokens d"]]:
    """Rotary cosines and sines of the whole lattice, as the pipeline builds them at the model's own size."""
    height, width = (side // transformer.config.patch_size for side in latents.shape[-2:])
    cosine, sine = get_3d_rotary_pos_embed(
        embed_dim=transformer.config.attention_head_dim,
        crops_coords=((0, 0), (height, width)),
        grid_size=(height, width),
        temporal_size=latents.shape[1],
        device=latents.device,
    )
    return cosine, sine


class Denoiser(nn.Module):
    """Text encoder and transformer as one module, for one optimiser and one checkpoint."""

    def __init__(self, pipeline: CogVideoXPipeline):
        super().__init__()
        transformer = pipeline.transformer
        self.text_encoder = pipeline.text_encoder
        self.transformer = transformer
        self.hidden: Tensor | None = None
        self.words: Tensor | None = None
        self.attention: dict[str, Tensor] = {}
        transformer.transformer_blocks[TRUTH_BLOCK].register_forward_hook(self._keep)
        matching: Any = transformer.transformer_blocks[MATCH_BLOCK].attn1
        matching.norm_q.register_forward_hook(partial(self._keep_attention, "query"))
        matching.norm_k.register_forward_hook(partial(self._keep_attention, "key"))

    def _keep(self, _block: nn.Module, _inputs: Any, output: tuple[Tensor, Tensor]) -> None:
        """Keep the video tokens that leave :data:`TRUTH_BLOCK`."""
        self.hidden = output[0]

    def _keep_attention(self, name: str, _norm: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        """Keep queries or keys of :data:`MATCH_BLOCK`; the attention turns its own in place, so it is given a copy."""
        self.attention[name] = output
        return output.clone()

    def attended(self) -> list[Float[Tensor, "clips tokens words"]]:
        """None: nothing is asked of its attention to words."""
        return []

    def forward(
        self, noisy: Float[Tensor, "b f c h w"], time: Int[Tensor, " b"], tokens: Int[Tensor, "b n"]
    ) -> Float[Tensor, "b f c h w"]:
        """Predicted velocity."""
        self.words = text = self.text_encoder(tokens)[0]
        positions = rotary(self.transformer, noisy)
        velocity = self.transformer(noisy, text, time, image_rotary_emb=positions, return_dict=False)[0]
        for name in ("query", "key"):
            self.attention[name] = apply_rotary_emb(self.attention[name][:, :, text.shape[1] :], positions)
        return velocity
