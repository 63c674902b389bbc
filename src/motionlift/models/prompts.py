"""How models read prompts: encoded once, and remembered."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch

from motionlift.core.condition import Condition
from motionlift.core.lattice import Shape
from motionlift.errors import InputError, SettingError
from motionlift.models.words import bare, tokens_within, whole_words

REMEMBERED = 32
"""Prompts that a model remembers (ours: a few megabytes each at true size)."""


@dataclass(frozen=True)
class Laid:
    """A prompt in the text that is encoded."""

    text: str
    """The text."""
    cut: int = 0
    """How many of its first tokens the network does not see."""
    how: Mapping[str, Any] = field(default_factory=dict)
    """How it is made tokens of."""


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
        laid: Callable[[str], Laid] | None = None,
        finds_words: bool = True,
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
            laid: sets a prompt into the text that is encoded, where that is another.
            finds_words: whether a word's tokens can be told among those that the network sees.
        """
        self._tokenizer, self._window, self._name = tokenizer, window, name
        self._encoder, self._unknown, self._turn, self._shape = encoder, unknown, turn, shape
        self._laid, self._finds_words = laid or Laid, finds_words
        self._remembered: OrderedDict[tuple[str, Shape | None], Condition] = OrderedDict()

    def check(self, prompt: str) -> None:
        """Refuse a prompt without encoding it.

        Raises:
            InputError: it is longer than the model's text window.
        """
        tokens = self._tokens(prompt)
        if tokens > self._window:
            raise InputError(
                f"the prompt has {tokens} tokens; {self._name} reads {self._window}: shorten it by {tokens - self._window}"
            )

    def cut(self, prompt: str) -> str:
        """As many of a prompt's first words as the window holds."""
        words = prompt.split()
        fitting = bisect_right(
            range(1, len(words) + 1), self._window, key=lambda count: self._tokens(" ".join(words[:count]))
        )
        return prompt if fitting == len(words) else " ".join(words[:fitting])

    def _tokens(self, prompt: str) -> int:
        """Tokens of a prompt that the network sees."""
        laid = self._laid(prompt)
        return len(self._tokenizer(laid.text, truncation=False, **laid.how).input_ids) - laid.cut

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
        """Places of a word's tokens in the encoded prompt, wherever it comes.

        Raises:
            SettingError: no word can be told among the tokens that the network sees.
        """
        if not self._finds_words:
            raise SettingError(
                f"{self._name} mixes the tokens of a prompt before its network sees them, so that no attention to a word can be "
                "read; use a method that needs no words, such as ditflow"
            )
        laid = self._laid(prompt)
        if laid.text == prompt:
            return tokens_within(self._tokenizer, prompt, word)
        first, spans = (
            laid.text.index(prompt),
            self._tokenizer(laid.text, return_offsets_mapping=True, **laid.how).offset_mapping,
        )
        found = tokens_within(self._tokenizer, laid.text, word, **laid.how)
        return tuple(place - laid.cut for place in found if first <= spans[place][0] < first + len(prompt))

    def unknown_words(self, prompt: str) -> list[str]:
        """Words that the tokenizer lacks, each once, without the punctuation around them."""
        lacking = [word for word in prompt.split() if self._unknown(self._tokenizer, word)]
        return [*dict.fromkeys(bare(word) or word for word in lacking)]

    def known_words(self) -> list[str]:
        """Whole words of a vocabulary of the model's own; none where it reads language at large."""
        return [word for word in whole_words(self._tokenizer) if not self._unknown(self._tokenizer, word)]
