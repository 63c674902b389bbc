"""Blocks that recompute their activations leave nothing behind where they fail."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from motionlift.models.offloading import RECOMPUTED
from motionlift.models.recomputation import PLAIN, checkpointed, recomputed


class Block(nn.Module):
    """A block that can be told to fail."""

    def __init__(self):
        super().__init__()
        self.error: BaseException | None = None
        self.layer = nn.Linear(4, 4)

    def forward(self, tokens):
        mixed = torch.tanh(self.layer(tokens))
        if self.error is not None:
            raise self.error
        return mixed.square()


@pytest.fixture
def block():
    torch.manual_seed(0)
    return Block()


@pytest.fixture
def tokens():
    return torch.linspace(-1, 1, 12).view(3, 4).requires_grad_()


def gradient(run, tokens):
    return torch.autograd.grad(run(tokens).sum(), tokens)[0]


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyboardInterrupt()], ids=["error", "interrupt"])
@pytest.mark.parametrize("options", [PLAIN, RECOMPUTED], ids=["plain", "moved"])
def test_what_follows_a_block_that_failed_is_no_part_of_it(block, tokens, options, error):
    wanted = gradient(block, tokens)
    block.error = error
    with pytest.raises(type(error)) as held:  # as a notebook holds the last error
        checkpointed(block, tokens, **options)
    block.error = None
    assert held.value is error
    assert torch._C._autograd._top_saved_tensors_default_hooks(True) is None
    found = gradient(lambda given: checkpointed(block, given, **options), tokens)
    torch.testing.assert_close(found, wanted)


def test_an_error_of_the_recomputation_is_told(block, tokens):
    mixed = recomputed(block, tokens)
    block.error = RuntimeError("out of memory")
    with pytest.raises(RuntimeError, match="out of memory"):
        mixed.sum().backward()


def test_a_block_is_left_in_backward_where_pytorch_s_own_is(block, tokens):
    counts = []
    for run in (recomputed, lambda module, given: checkpoint(module, given, **PLAIN)):
        ended = []
        handle = block.register_forward_hook(lambda *_, ended=ended: ended.append(None))
        gradient(lambda given, run=run: run(block, given), tokens)
        handle.remove()
        counts.append(len(ended))
    assert counts == [1, 1]
