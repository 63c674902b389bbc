"""Adapters change what a network computes by what they hold, and leave no trace."""

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn
from torch.utils.checkpoint import checkpoint

from motionlift.core.method import Plan
from motionlift.errors import ModelError, MotionError
from motionlift.loops.adapters import Addition, applied, tunable
from motionlift.motion.adapter import low_rank
from motionlift.signals.at_once import used_at_once
from tests.motion.weight_changes import weight_changes


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(4, 6)
        self.second = nn.Sequential(nn.Linear(6, 5), nn.Tanh())
        self.requires_grad_(False).eval()

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(given).tanh())


LAYERS = ("first", "second.0")
GIVEN = torch.randn(3, 4, generator=torch.Generator().manual_seed(9))


def trained(network: Net, plan: Plan, seed: int = 0) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """An adapter after a few steps, and what the network then gives."""
    with tunable(network, plan, seed) as adapter:
        optimizer = torch.optim.SGD(list(adapter.parameters.values()), lr=0.5)
        for _ in range(4):
            network(GIVEN).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        return adapter.tensors(), network(GIVEN).detach()


PLANS = {"factors": Plan(LAYERS, rank=2), "differences": Plan(LAYERS)}
each_plan = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())


@each_plan
def test_an_untrained_adapter_changes_nothing_and_leaves_no_trace(plan: Plan):
    network = Net()
    before, modules, weights = network(GIVEN), list(network.modules()), list(network.parameters())
    with tunable(network, plan, 0) as adapter:
        assert torch.equal(network(GIVEN), before)
        assert all(
            parameter.requires_grad and parameter.dtype == torch.float32 for parameter in adapter.parameters.values()
        )
    assert [*map(id, network.modules())] == [*map(id, modules)]
    assert [*map(id, network.parameters())] == [*map(id, weights)]
    assert not hasattr(network, "peft_config")


@each_plan
def test_what_was_trained_can_be_added_again_at_any_strength(plan: Plan):
    network = Net()
    before = network(GIVEN)
    adapter, expected = trained(network, plan)
    assert not torch.allclose(expected, before, atol=1e-3)
    assert torch.equal(network(GIVEN), before)
    with applied(network, [Addition(adapter, lowest=500)]) as switch:
        torch.testing.assert_close(network(GIVEN), expected)
        with switch.at(499):
            assert torch.equal(network(GIVEN), before)
        with switch.at(500):
            torch.testing.assert_close(network(GIVEN), expected)
        torch.testing.assert_close(network(GIVEN), expected)
    assert torch.equal(network(GIVEN), before)
    with applied(network, [Addition(adapter, 0.0)]):
        torch.testing.assert_close(network(GIVEN), before)
    with applied(network, [Addition(adapter, 0.5)]):
        torch.testing.assert_close(
            network(GIVEN), by_hand(network, {name: 0.5 * own for name, own in weight_changes(adapter).items()})
        )


def by_hand(network: Net, changes: dict[str, torch.Tensor]) -> torch.Tensor:
    """The network's output with its weights changed."""
    other = Net()
    with torch.no_grad():
        for name, change in changes.items():
            other.get_submodule(name).weight += change
    return other(GIVEN)


def test_adapters_of_both_kinds_add_up():
    network = Net()
    factors, _ = trained(network, PLANS["factors"])
    others, _ = trained(network, Plan(LAYERS, rank=3), seed=5)
    differences, _ = trained(network, PLANS["differences"])
    sums = {
        name: 0.7 * weight_changes(factors)[name]
        + 0.3 * weight_changes(others)[name]
        + 1.2 * weight_changes(differences)[name]
        for name in LAYERS
    }
    with applied(network, [Addition(factors, 0.7), Addition(others, 0.3), Addition(differences, 1.2)]):
        torch.testing.assert_close(network(GIVEN), by_hand(network, sums))


def test_each_adapter_is_on_where_it_was_tuned():
    network = Net()
    factors, _ = trained(network, PLANS["factors"])
    others, _ = trained(network, Plan(LAYERS, rank=3), seed=5)
    differences, _ = trained(network, PLANS["differences"])
    additions = [Addition(factors, 1.0, 800), Addition(others, 1.0, 400), Addition(differences, 1.0, 600)]
    with applied(network, additions) as switch:
        for timestep, count in ((900, 3), (700, 2), (500, 1), (300, 0)):
            on = [each for each in additions if each.lowest <= timestep]
            assert len(on) == count
            changes = [weight_changes(each.tensors) for each in on]
            with switch.at(timestep):
                expected = by_hand(
                    network, {name: sum(each[name] for each in changes) for name in LAYERS} if on else {}
                )
                torch.testing.assert_close(network(GIVEN), expected)


def test_a_network_keeps_its_own_adapters():
    network = Net()
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["first"], init_lora_weights=False), network, "style")
    styled = network(GIVEN)
    with applied(network, []):
        assert torch.equal(network(GIVEN), styled)
    assert torch.equal(network(GIVEN), styled)
    for context in (
        tunable(network, PLANS["factors"], 0),
        applied(network, [Addition({"first.difference": torch.ones(6, 4)})]),
    ):
        with pytest.raises(ModelError, match=r"low-rank adapters of its own, .*: pipeline.fuse_lora"), context:
            pass
    assert torch.equal(network(GIVEN), styled)


@each_plan
def test_weights_of_half_precision_are_tuned_in_single(plan: Plan):
    network = Net().to(torch.bfloat16)
    given = GIVEN.to(torch.bfloat16)
    before = network(given)
    with tunable(network, plan, 0) as adapter:
        assert torch.equal(network(given), before)
        assert all(parameter.dtype == torch.float32 for parameter in adapter.parameters.values())
        network(given).square().mean().backward()
        assert any(parameter.grad.abs().max() > 0 for parameter in adapter.parameters.values())
    assert network.first.weight.dtype == torch.bfloat16 and torch.equal(network(given), before)


def test_sampling_while_tuning_is_without_dropout():
    network = Net()
    with tunable(network, Plan(LAYERS, rank=2, dropout=0.5), 0) as adapter:
        with torch.no_grad():
            for parameter in adapter.parameters.values():
                parameter += 0.3
        with adapter.sampled():
            assert torch.equal(network(GIVEN), network(GIVEN))
        assert not torch.equal(network(GIVEN), network(GIVEN))


@each_plan
def test_off_is_the_network_alone_while_tuning(plan: Plan):
    network = Net()
    before = network(GIVEN)
    with tunable(network, plan, 0) as adapter:
        with torch.no_grad():
            for parameter in adapter.parameters.values():
                parameter += 0.1
        changed = network(GIVEN).detach()
        with adapter.off():
            assert torch.equal(network(GIVEN), before)
        assert torch.equal(network(GIVEN).detach(), changed)
        assert all(parameter.requires_grad for parameter in adapter.parameters.values())


@each_plan
def test_a_checkpoint_holds_all_and_refuses_others(plan: Plan):
    network = Net()
    with tunable(network, plan, 0) as adapter:
        with torch.no_grad():
            for parameter in adapter.parameters.values():
                parameter += torch.randn_like(parameter)
        state = {name: tensor.clone() for name, tensor in adapter.state_dict().items()}
        expected = network(GIVEN).detach()
    with tunable(network, plan, 1) as adapter:
        adapter.load_state_dict(state)
        assert torch.equal(network(GIVEN).detach(), expected)
        with pytest.raises(RuntimeError, match="not those of this adapter"):
            adapter.load_state_dict({name: tensor[:1] for name, tensor in state.items()})


def test_the_seed_decides_the_factors_and_nothing_else_does():
    network, state = Net(), torch.get_rng_state()
    first, second, third = (trained(network, PLANS["factors"], seed)[0] for seed in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], third[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), state)


def test_dropout_works_in_tuning_alone():
    network = Net()
    plan = Plan(LAYERS, rank=2, dropout=0.5)
    with tunable(network, plan, 0) as adapter:
        with torch.no_grad():
            for parameter in adapter.parameters.values():
                parameter += 0.3
        assert not torch.equal(network(GIVEN), network(GIVEN))
        held = adapter.tensors()
    with applied(network, [Addition(held, 1.0)]):
        assert torch.equal(network(GIVEN), network(GIVEN))


def test_low_rank_factors_are_the_best_and_say_what_they_miss():
    generator = torch.Generator().manual_seed(0)
    differences = {
        "a.difference": torch.randn(6, 4, generator=generator),
        "b.difference": torch.randn(3, 8, generator=generator),
    }
    whole, missed = low_rank(differences, 4)
    assert missed == pytest.approx(0, abs=1e-6)
    for name, change in weight_changes(whole).items():
        torch.testing.assert_close(change, differences[f"{name}.difference"], atol=1e-5, rtol=1e-4)
    assert {name: tuple(tensor.shape) for name, tensor in whole.items()} == {
        "a.lora_A.weight": (4, 4), "a.lora_B.weight": (6, 4), "b.lora_A.weight": (4, 8), "b.lora_B.weight": (3, 4),
    }  # fmt: skip
    some, missed = low_rank(differences, 1)
    rest = [differences[f"{name}.difference"] - change for name, change in weight_changes(some).items()]
    size = sum(float(own.square().sum()) for own in differences.values())
    assert missed == pytest.approx((sum(float(own.square().sum()) for own in rest) / size) ** 0.5, rel=1e-5)
    assert 0.3 < missed < 1


def test_used_at_once_gives_the_same_gradient_even_where_activations_are_recomputed():
    """The trap it is for: without it, the part with the adapter on would be recomputed with the adapter off."""
    network, gradients = Net(), []
    for at_once in (True, False):
        with tunable(network, PLANS["factors"], 0) as adapter:
            with torch.no_grad():
                for parameter in adapter.parameters.values():
                    parameter += 0.2
            middle = checkpoint(network, GIVEN, use_reentrant=False) if at_once else network(GIVEN)

            def distance(given: torch.Tensor, adapter=adapter) -> torch.Tensor:
                with adapter.off():
                    return network(given[:, :4]).square().sum()

            loss = used_at_once(distance, middle) if at_once else distance(middle)
            assert loss.requires_grad
            gradients.append(torch.autograd.grad(3 * loss, list(adapter.parameters.values())))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def factors(layer: str) -> dict[str, torch.Tensor]:
    return {f"{layer}.lora_A.weight": torch.ones(2, 4), f"{layer}.lora_B.weight": torch.ones(4, 2)}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda own: {}, "incomplete"),
        (lambda own: {name: tensor for name, tensor in own.items() if "lora_A" in name}, "one factor without the other"),
        (lambda own: own | factors("third"), "model lacks"),
        (lambda own: own | factors("second.1"), "model lacks"),
        (lambda own: own | {"first.lora_B.weight": torch.ones(7, 2)}, r"has the size \(7, 2\) and the model needs \(6, 2\)"),
        (lambda own: own | {"first.lora_A.weight": torch.ones(3, 4), "first.lora_B.weight": torch.ones(6, 3)}, "different ranks"),
        (lambda own: own | {"first.weight": torch.ones(6, 4)}, "incomplete"),
        (lambda own: {"first.difference": torch.ones(4, 6)}, r"has the size \(4, 6\) and the model needs \(6, 4\)"),
    ],
)  # fmt: skip
def test_a_foreign_adapter_is_refused_and_leaves_no_trace(damage, message: str):
    network = Net()
    adapter, _ = trained(network, PLANS["factors"])
    before = network(GIVEN)
    with pytest.raises(MotionError, match=message), applied(network, [Addition(adapter), Addition(damage(adapter))]):
        pass
    assert torch.equal(network(GIVEN), before) and type(network.first) is nn.Linear
