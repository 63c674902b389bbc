"""The parts of ``tiny-dit``: a complete CogVideoX pipeline, small enough to ship and to train on two cores.

Sizes are ours. The autoencoder has the published 4x in time and, with three blocks, 4x in space; patches of 2x2 latents give
a lattice of 8x8 tokens for a 64x64 frame and five latent frames for seventeen.
"""

from diffusers import AutoencoderKLCogVideoX, CogVideoXDDIMScheduler, CogVideoXTransformer3DModel
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from motionlift.zoo.world import vocabulary

FRAME_SIZE = 64
FRAMES = 17
TEXT_TOKENS = 24
"""Text window: the longest caption of two objects has 15 words, and an end token."""


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
