"""Modules that run compiled, for as long as somebody asks for it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from motionlift.errors import ModelError, SettingError


class Compiled:
    """Compiled forms of modules. They are made by the first call, and take the modules' place only within :meth:`running`.

    What looks into a module is to run outside, and what changes what it attends to within :meth:`plain`: PyTorch compiles no hooks
    that come later.
    """

    def __init__(self, modules: Sequence[nn.Module]):
        self._plain = [(module, module.forward) for module in modules]
        # Sizes differ little in a run: one form for each is faster than one for all.
        self._forms: list[Callable[..., Any]] = [torch.compile(module.forward, dynamic=False) for module in modules]
        self._changed = 0

    @contextmanager
    def plain(self) -> Iterator[None]:
        """As they are until left, whatever runs within: what they attend to is changed meanwhile."""
        self._changed += 1
        try:
            yield
        finally:
            self._changed -= 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """In their compiled forms until left; hold the model's turn around it.

        Raises:
            ModelError: the compiler gives up.
        """
        if self._changed:
            yield
            return
        own = [module.__dict__.get("forward") for module, _ in self._plain]
        for (module, _), form in zip(self._plain, self._forms, strict=True):
            module.forward = form
        try:
            with torch._dynamo.config.patch(skip_nnmodule_hook_guards=False):
                yield
        except Exception as error:
            from torch._dynamo.exc import TorchDynamoException  # takes a second to import

            if isinstance(error, TorchDynamoException):
                raise ModelError(
                    f"the model cannot be compiled here ({_reason(error)}): leave compiling out"
                ) from error
            raise
        finally:
            for (module, _), before in zip(self._plain, own, strict=True):
                if before is None:
                    del module.forward
                else:
                    module.forward = before


def check_compiler(device: torch.device) -> None:
    """Refuse to compile where that cannot work, by compiling something small.

    Raises:
        SettingError: it failed, as without a compiler for C++, or without Triton on a GPU.
    """
    try:
        torch.compile(_small, dynamic=False)(torch.zeros(2, device=device))
    except Exception as error:  # compilers fail in errors of every kind
        raise SettingError(
            f"nothing can be compiled for {device} ({_reason(error)}): leave compiling out, or install what is missing"
        ) from error


def _small(values: torch.Tensor) -> torch.Tensor:
    return values.sin() + 1


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
