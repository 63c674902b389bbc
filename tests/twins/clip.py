"""A CLIP that looks at pictures."""

from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from tests.twins.pictures import CLIPImageProcessorPil
from tests.twins.text import WINDOW, WORDS


def clip(folder: Path) -> None:
    """Write a CLIP of random weights that looks at pictures of 16x16."""
    torch.manual_seed(0)
    pieces = ["<|startoftext|>", "<|endoftext|>", *[f"{word}</w>" for word in WORDS]]
    tokenizer = CLIPTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, merges=[], model_max_length=WINDOW
    )
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": len(pieces), "max_position_embeddings": WINDOW, "bos_token_id": 0, "eos_token_id": 1}
    vision = {**sizes, "image_size": 16, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    processor.save_pretrained(folder)
