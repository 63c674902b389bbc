"""How models read prompts: encoded once, and remembered."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from motionlift.core.condition import Condition
from motionlift.core.lattice import Shape
from motionlift.errors import InputError
from motionlift.models.words import tokens_within

REMEMBERED = 32
"""Prompts that a model remembers (ours: a few megabytes each at true size)."""


class Prompts:
    """The :class:`motionlift.core.model.Text` of a pipeline with one tokenizer."""

    def __init__(
        self,
        tokenizer: Any,
        window: int,
        name: str,
        encoder: Callable[[str, Shape | None], Condition],
        unknown: Callable[[Any, str], bool],
        turn: Callable[[], AbstractContextManager[None]],
        shape: Shape | None = None,
    ):
        """Nothing is encoded yet.

        Args:
            tokenizer: one of transformers'.
            window: most tokens that are read.
            name: the model's, for messages.
            encoder: gives what the network takes of a prompt, for a video of a size.
            unknown: whether the tokenizer lacks a word.
            turn: holds the text encoder while it is used.
            shape: the model's own size of videos, where what the network takes goes by the size; else none.
        """
        self._tokenizer, self._window, self._name = tokenizer, window, name
        self._encoder, self._unknown, self._turn, self._shape = encoder, unknown, turn, shape
        self._remembered: OrderedDict[tuple[str, Shape | None], Condition] = OrderedDict()

    def check(self, prompt: str) -> None:
        """Refuse a prompt without encoding it.

        Raises:
            InputError: it is longer than the model's text window.
        """
        tokens = self._tokens(prompt)
        if tokens > self._window:
            raise InputError(
                f"the prompt has {tokens} tokens; {self._name} reads {self._window}: shorten it by {tokens - self._window}, or "
                "give --cut-prompt (in Python cut_prompt=True)"
            )

    def cut(self, prompt: str) -> str:
        """As many of a prompt's first words as the window holds."""
        words = prompt.split()
        fitting = bisect_right(
            range(1, len(words) + 1), self._window, key=lambda count: self._tokens(" ".join(words[:count]))
        )
        return prompt if fitting == len(words) else " ".join(words[:fitting])

    def _tokens(self, prompt: str) -> int:
        """Tokens of a prompt."""
        return len(self._tokenizer(prompt, truncation=False).input_ids)

    @torch.no_grad()
    def encode(self, prompt: str, shape: Shape | None = None) -> Condition:
        """A prompt as the network takes it for a video of a size; the last :data:`REMEMBERED` are remembered.

        Raises:
            InputError: it is longer than the model's text window.
        """
        self.check(prompt)
        key = prompt, None if self._shape is None else shape or self._shape
        with self._turn():  # two threads that ask for one prompt encode it once
            if key not in self._remembered:
                self._remembered[key] = self._encoder(*key)
            self._remembered.move_to_end(key)
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
            return self._remembered[key]

    def places(self, prompt: str, word: str) -> tuple[int, ...]:
        """Places of a word's tokens in the encoded prompt, wherever it comes."""
        return tokens_within(self._tokenizer, prompt, word)

    def unknown_words(self, prompt: str) -> list[str]:
        """Words that the tokenizer lacks."""
        return [word for word in prompt.split() if self._unknown(self._tokenizer, word)]
