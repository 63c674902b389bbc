"""How models read prompts: encoded once, and remembered."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from motionlift.core.condition import Condition
from motionlift.errors import InputError
from motionlift.models.words import bare, tokens_within

REMEMBERED = 32
"""Prompts that a model remembers (ours: a few megabytes each at true size)."""


class Prompts:
    """The :class:`motionlift.core.model.Text` of a pipeline with one tokenizer."""

    def __init__(
        self,
        tokenizer: Any,
        window: int,
        name: str,
        encoder: Callable[[str], Mapping[str, Tensor]],
        unknown: Callable[[Any, str], bool],
        turn: Callable[[], AbstractContextManager[None]],
    ):
        """Nothing is encoded yet.

        Args:
            tokenizer: one of transformers'.
            window: most tokens that are read.
            name: the model's, for messages.
            encoder: gives what the network takes of a prompt, by the names of its arguments.
            unknown: whether the tokenizer lacks a word.
            turn: holds the text encoder while it is used.
        """
        self._tokenizer, self._window, self._name = tokenizer, window, name
        self._encoder, self._unknown, self._turn = encoder, unknown, turn
        self._remembered: OrderedDict[str, Condition] = OrderedDict()

    def check(self, prompt: str) -> None:
        """Refuse a prompt without encoding it.

        Raises:
            InputError: it is longer than the model's text window.
        """
        tokens = len(self._tokenizer(prompt, truncation=False).input_ids)
        if tokens > self._window:
            raise InputError(f"the prompt has {tokens} tokens; {self._name} reads {self._window}: shorten it")

    @torch.no_grad()
    def encode(self, prompt: str) -> Condition:
        """A prompt as the network takes it; the last :data:`REMEMBERED` are remembered.

        Raises:
            InputError: it is longer than the model's text window.
        """
        self.check(prompt)
        with self._turn():  # two threads that ask for one prompt encode it once
            if prompt not in self._remembered:
                self._remembered[prompt] = Condition(dict(self._encoder(prompt)))
            self._remembered.move_to_end(prompt)
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
            return self._remembered[prompt]

    def places(self, prompt: str, word: str) -> tuple[int, ...]:
        """Places of a word's tokens in the encoded prompt, wherever it comes."""
        return tokens_within(self._tokenizer, prompt, word)

    def unknown_words(self, prompt: str) -> list[str]:
        """Words that the tokenizer lacks, each once, without the punctuation around them."""
        lacking = [word for word in prompt.split() if self._unknown(self._tokenizer, word)]
        return [*dict.fromkeys(bare(word) or word for word in lacking)]
