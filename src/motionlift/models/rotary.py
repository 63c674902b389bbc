"""Attention with rotary positions that can be optimised."""

from typing import Any

import torch
import torch.nn.functional as functional
from diffusers.models.embeddings import apply_rotary_emb
from torch import Tensor


class RotaryAttention:
    """CogVideoX attention with rotary positions for queries and keys apart, applied out of place.

    The stock processor writes them in place, which breaks gradients with respect to the positions. Takes the stock pair
    ``(cos, sin)`` or the four tensors of :meth:`CogVideoX.positions`; outputs equal the stock processor's.
    """

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, ...] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Attend over text tokens, then video tokens; returns video and text."""
        text = encoder_hidden_states.size(1)
        joint = torch.cat([encoder_hidden_states, hidden_states], dim=1)
        query, key, value = (
            layer(joint).unflatten(-1, (attn.heads, -1)).transpose(1, 2) for layer in (attn.to_q, attn.to_k, attn.to_v)
        )
        if attn.norm_q is not None:
            query = attn.norm_q(query)
        if attn.norm_k is not None:
            key = attn.norm_k(key)
        if image_rotary_emb is not None:
            query = self._turn(query, image_rotary_emb[:2], text)
            key = self._turn(key, image_rotary_emb[-2:], text)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask)
        mixed = attn.to_out[1](attn.to_out[0](mixed.transpose(1, 2).flatten(2)))
        return mixed[:, text:], mixed[:, :text]

    @staticmethod
    def _turn(tensor: Tensor, rotary: tuple[Tensor, ...], text: int) -> Tensor:
        turned = apply_rotary_emb(tensor[:, :, text:], rotary)
        return torch.cat([tensor[:, :, :text], turned.to(tensor.dtype)], dim=2)
