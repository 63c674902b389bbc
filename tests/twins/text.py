"""Tokenizers and text encoders of random weights."""

import string
from bisect import bisect_left
from typing import Any

from transformers import (
    ByT5Tokenizer,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    GemmaTokenizer,
    LlamaConfig,
    LlamaModel,
    LlamaTokenizer,
    Qwen2Tokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
    UMT5Config,
    UMT5EncoderModel,
)
from transformers.convert_slow_tokenizer import bytes_to_unicode

WORDS = ("a", "red", "star", "blue", "on", "field", "the", "dog", "ring")
WINDOW = 8
"""Tokens that CogVideoX's twins read."""
WIDTH = 16
"""Channels of most of the encoders."""
SMALL = {"hidden_size": WIDTH, "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2}
"""Sizes of language models."""
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""A conversation as Qwen is shown it."""


def t5_tokenizer(window: int) -> T5Tokenizer:
    """One token for each of the words, and an end."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0), *[(f"▁{word}", -2.0) for word in WORDS]]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=window)


def t5(width: int = WIDTH) -> T5EncoderModel:
    """An encoder of its tokens."""
    return T5EncoderModel(
        T5Config(vocab_size=len(WORDS) + 3, d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    )


def umt5(width: int = WIDTH) -> UMT5EncoderModel:
    """Wan's kind of encoder of the same tokens."""
    sizes = {"vocab_size": len(WORDS) + 3, "d_model": width, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    return UMT5EncoderModel(UMT5Config(**sizes))


def byt5(width: int = WIDTH) -> T5EncoderModel:
    """An encoder of bytes."""
    return T5EncoderModel(T5Config(vocab_size=384, d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2))


def byt5_tokenizer() -> ByT5Tokenizer:
    """Bytes."""
    return ByT5Tokenizer()


def clip_tokenizer(window: int = 77, letters: str = string.printable[:94]) -> CLIPTokenizer:
    """One token for each letter."""
    pieces = [*letters, *[f"{letter}</w>" for letter in letters], "<|startoftext|>", "<|endoftext|>"]
    numbered = {piece: number for number, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=numbered, merges=[], model_max_length=window)


def clip_text(window: int = 77, letters: str = string.printable[:94], width: int = WIDTH) -> CLIPTextModel:
    """An encoder of its tokens."""
    size = 2 * len(letters) + 2
    config = CLIPTextConfig(
        vocab_size=size,
        hidden_size=width,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=window,
        bos_token_id=size - 2,
        eos_token_id=size - 1,
        pad_token_id=size - 1,
    )
    return CLIPTextModel(config)


def in_tokens(tokenizer: Any, opening: str, count: int) -> None:
    """Teach a tokenizer one token for so much of a text, the start of a published template, that the whole has a count.

    The pipelines cut a number of tokens off, which is how many the published tokenizers need for it.
    """
    beside = len(tokenizer(".").input_ids)

    def rest(place: int) -> int:
        return len(tokenizer(f".{opening[place:]}").input_ids) - beside

    place = bisect_left(range(len(opening)), 1 - count, key=lambda place: -rest(place))
    tokenizer.add_tokens([opening[:place]], special_tokens=True)
    found = len(tokenizer(opening).input_ids)
    assert found == count, f"{found} tokens for {count}"


def llama_tokenizer() -> LlamaTokenizer:
    """Bytes after a beginning."""
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2, "<pad>": 3, **{f"<0x{byte:02X}>": 4 + byte for byte in range(256)}}
    return LlamaTokenizer(vocab={**vocabulary, "▁": 260}, merges=[], pad_token="<pad>", padding_side="right")


def llama(tokens: int, width: int = WIDTH) -> LlamaModel:
    """A language model."""
    sizes = {**SMALL, "hidden_size": width, "num_hidden_layers": 3, "max_position_embeddings": 1024}
    return LlamaModel(LlamaConfig(vocab_size=tokens, pad_token_id=3, **sizes))


def qwen_tokenizer() -> Qwen2Tokenizer:
    """Bytes, and the marks of a conversation."""
    bytes_ = {piece: number for number, piece in enumerate(bytes_to_unicode().values())}
    tokenizer = Qwen2Tokenizer(
        vocab={**bytes_, "<|endoftext|>": 256, "<|im_start|>": 257, "<|im_end|>": 258}, merges=[]
    )
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    tokenizer.chat_template = CHAT
    return tokenizer


def gemma_tokenizer(window: int = 1024) -> GemmaTokenizer:
    """Bytes after a beginning."""
    marks = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3, "<mask>": 4}
    vocabulary = {**marks, **{f"<0x{byte:02X}>": 5 + byte for byte in range(256)}}
    return GemmaTokenizer(vocab=vocabulary, merges=[], model_max_length=window)
