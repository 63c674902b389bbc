import math

import pytest
import torch
import torch.nn.functional as functional
from torch import nn
from torch.overrides import _len_torch_function_stack

from motionlift.errors import ModelError
from motionlift.models.probe import catching, only_first
from motionlift.models.recomputation import recomputed

MASK = torch.linspace(-2, 2, 25).view(5, 5)
"""Added to the logits: the arguments after query, key and value must arrive too."""


class SelfAttention(nn.Module):
    """Attention of two heads with a nonlinear layer before it, so that gradients depend on what is kept."""

    def __init__(self, width=8, named=False):
        super().__init__()
        self.mix = nn.Linear(width, 3 * width)
        self.named = named

    def forward(self, tokens):
        query, key, value = (
            part.unflatten(-1, (2, -1)).transpose(1, 2) for part in torch.tanh(self.mix(tokens)).chunk(3, dim=-1)
        )
        if self.named:
            mixed = functional.scaled_dot_product_attention(value=value, query=query, attn_mask=MASK, key=key)
        else:
            mixed = functional.scaled_dot_product_attention(query, key, value, MASK, 0.0)
        return mixed.transpose(1, 2).flatten(2)


class ByHand(nn.Module):
    """Attention that PyTorch's function never sees."""

    def forward(self, tokens):
        return torch.softmax(tokens @ tokens.mT, dim=-1) @ tokens


class Broken(nn.Module):
    """Fails in the middle, as Ctrl-C or a full GPU would."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, tokens):
        raise self.error


class Blocks(nn.Module):
    """A residual network of attentions, with or without recomputation in backward."""

    def __init__(self, count=3, checkpointed=False, named=False):
        super().__init__()
        self.blocks = nn.ModuleList([SelfAttention(named=named) for _ in range(count)])
        self.checkpointed = checkpointed
        self.ran = 0

    def forward(self, tokens):
        for block in self.blocks:
            self.ran += 1
            mixed = recomputed(block, tokens) if self.checkpointed else block(tokens)
            tokens = tokens + mixed
        return tokens


def tokens(batch=2, seed=1):
    return torch.randn(batch, 5, 8, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def network(**options):
    torch.manual_seed(0)
    return Blocks(**options)


def looking(kept):
    return lambda attention: kept.append(attention) or attention


def halving_values(attention):
    query, key, value = attention
    return query, key * 1.5, value / 2


def plain_attention(query, key, value):
    weights = torch.softmax(query @ key.mT / math.sqrt(query.shape[-1]) + MASK, dim=-1)
    return (weights @ value).transpose(1, 2).flatten(2)


def hooks(module):
    return len(module._forward_hooks) + len(module._forward_pre_hooks)


@pytest.mark.parametrize("named", [False, True])
def test_what_is_caught_gives_the_modules_output_by_plain_attention(named):
    model, kept, outputs = network(named=named), [], []
    block = model.blocks[1]
    block.register_forward_hook(lambda _module, _arguments, output: outputs.append(output))
    before = model(tokens())
    with catching(block, looking(kept)):
        during = model(tokens())
    torch.testing.assert_close(during, before, atol=0, rtol=0)
    assert len(kept) == 1
    torch.testing.assert_close(plain_attention(*kept[0]), outputs[1])


@pytest.mark.parametrize("named", [False, True])
def test_what_change_returns_is_what_the_module_uses(named):
    model, kept = network(count=1, named=named), []
    with catching(model.blocks[0], lambda attention: halving_values(looking(kept)(attention))):
        found = model(tokens())
    torch.testing.assert_close(found - tokens(), plain_attention(*halving_values(kept[0])))


def test_of_two_catches_the_inner_one_sees_what_the_outer_one_changed():
    model, kept = network(count=1), []
    with catching(model.blocks[0], halving_values), catching(model.blocks[0], looking(kept)):
        found = model(tokens())
    torch.testing.assert_close(found - tokens(), plain_attention(*kept[0]))


def test_other_modules_are_left_alone():
    model, kept = network(), []
    with catching(model.blocks[1], looking(kept)):
        model.blocks[0](tokens())
        model.blocks[2](tokens())
    assert kept == []


def gradients_through_what_was_seen(checkpointed):
    model, kept, given = network(checkpointed=checkpointed), [], tokens()
    with catching(model.blocks[0], looking(kept)), catching(model.blocks[2], looking(kept)):
        model(given)
    loss = sum(
        (tensor * torch.linspace(-1, 1, tensor.numel()).view_as(tensor)).sum() for seen in kept for tensor in seen
    )
    return torch.autograd.grad(loss, [given, *model.blocks[0].parameters()])


def gradients_through_what_was_changed(checkpointed):
    model, given = network(checkpointed=checkpointed), tokens()
    with catching(model.blocks[1], halving_values):
        return torch.autograd.grad(model(given).square().sum(), [given, *model.parameters()])


@pytest.mark.parametrize("gradients", [gradients_through_what_was_seen, gradients_through_what_was_changed])
def test_gradients_are_the_same_when_activations_are_recomputed(gradients):
    torch.testing.assert_close(gradients(checkpointed=True), gradients(checkpointed=False), atol=1e-6, rtol=1e-5)


def test_gradients_of_a_change_are_those_of_the_changed_network():
    given = tokens()
    model = network(count=1)
    with catching(model.blocks[0], halving_values):
        (found,) = torch.autograd.grad(model(given).square().sum(), given)
    query, key, value = torch.tanh(model.blocks[0].mix(given)).chunk(3, dim=-1)
    split = [part.unflatten(-1, (2, -1)).transpose(1, 2) for part in (query, key, value)]
    (truth,) = torch.autograd.grad((given + plain_attention(*halving_values(split))).square().sum(), given)
    torch.testing.assert_close(found, truth)


def test_a_module_that_attends_by_other_means_is_refused():
    module = ByHand()
    refusal = "ByHand does not use PyTorch's scaled_dot_product_attention"
    with pytest.raises(ModelError, match=refusal), catching(module, looking([])):
        module(tokens())
    assert hooks(module) == 0
    assert _len_torch_function_stack() == 0


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_nothing_stays_behind_when_the_forward_fails(error):
    module = Broken(error)
    with pytest.raises(type(error)), catching(module, looking([])), catching(module, halving_values):
        module(tokens())
    assert hooks(module) == 0
    assert _len_torch_function_stack() == 0


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_nothing_stays_behind_when_a_change_fails(error):
    def change(attention):
        raise error

    model = network(checkpointed=True)
    with pytest.raises(type(error)), catching(model.blocks[1], change):
        model(tokens())
    assert hooks(model.blocks[1]) == 0
    assert _len_torch_function_stack() == 0


def test_nothing_stays_behind_when_the_caller_fails():
    model = network()
    with pytest.raises(ValueError), catching(model.blocks[0], looking([])):
        raise ValueError
    assert hooks(model.blocks[0]) == 0


def test_only_first_stops_early_and_restores():
    model = network()
    whole = model.blocks
    with only_first(model, ["blocks"], 2):
        model(tokens())
    assert model.ran == 2
    assert model.blocks is whole
    assert len(model.blocks) == 3


def test_only_first_restores_after_an_error():
    model = network()
    whole = model.blocks
    with pytest.raises(KeyboardInterrupt), only_first(model, ["blocks"], 1):
        raise KeyboardInterrupt
    assert model.blocks is whole


def test_gradients_are_exact_when_stopped_early_and_recomputed():
    found = []
    for checkpointed in (True, False):
        model, kept, given = network(checkpointed=checkpointed), [], tokens()
        with catching(model.blocks[1], looking(kept)):
            if checkpointed:
                with only_first(model, ["blocks"], 2):
                    model(given)
            else:
                model(given)
        found.append(torch.autograd.grad(kept[0][0].square().sum(), given))
    torch.testing.assert_close(*found, atol=1e-6, rtol=1e-5)
