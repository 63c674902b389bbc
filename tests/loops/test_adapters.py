"""Adapters change what a network computes by what they hold while they are on it, and leave no trace."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn
from torch.utils.checkpoint import checkpoint

from motionlift.core.memory import Measures, Weights
from motionlift.core.method import Plan
from motionlift.core.schedule import Level
from motionlift.errors import ModelError, MotionError
from motionlift.loops.adapters import Addition, Switch, Tunable, fitted
from motionlift.models.offloading import STORED
from motionlift.models.transformer import Transformer
from motionlift.motion.adapter import DIFFERENCE, DOWN, low_rank
from motionlift.signals.at_once import used_at_once
from tests.adapters import adapter_of, linear_of, outputs
from tests.methods.references import twin
from tests.motion.weight_changes import weight_changes
from tests.twins import TRANSFORMERS


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(4, 6)
        self.second = nn.Sequential(nn.Linear(6, 5), nn.Tanh())
        self.requires_grad_(False).eval()

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(given).tanh())


CPU = torch.device("cpu")
LAYERS = ("first", "second.0")
GIVEN = torch.randn(3, 4, generator=torch.Generator().manual_seed(9))
NOISY = Level(999.0, 0.0, 1.0)
MODEL = twin()


def added(network: nn.Module, additions: Sequence[Addition]) -> Switch | None:
    """Adapters fitted to a network that stands in for a model's."""
    model = MODEL.counted()
    model.network = network  # pyright: ignore[reportAttributeAccessIssue]
    return fitted(model, additions)


def output(network: nn.Module, additions: Sequence[Addition], noise: float = 1.0) -> torch.Tensor:
    """What a network gives with adapters at a level of noise."""
    switch = added(network, additions)
    assert switch is not None
    with switch.at(Level(0.0, 0.0, noise)):
        return network(GIVEN)


def perturbed(adapter: Tunable, by: float) -> Tunable:
    """An adapter that does something."""
    with torch.no_grad():
        for parameter in adapter.parameters.values():
            parameter += by
    return adapter


def trained(network: Net, plan: Plan, seed: int = 0) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """An adapter after a few steps, and what the network then gives."""
    adapter = Tunable(network, plan, seed)
    optimizer = torch.optim.SGD(list(adapter.parameters.values()), lr=0.5)
    for _ in range(4):
        with adapter.attached():
            network(GIVEN).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    with adapter.attached():
        return adapter.tensors(), network(GIVEN).detach()


PLANS = {"factors": Plan(LAYERS, rank=2), "differences": Plan(LAYERS)}
each_plan = pytest.mark.parametrize("plan", list(PLANS.values()), ids=list(PLANS))


@each_plan
def test_an_untrained_adapter_changes_nothing_and_leaves_no_trace(plan: Plan):
    network = Net()
    before, modules, weights = network(GIVEN), list(network.modules()), list(network.parameters())
    adapter = Tunable(network, plan, 0)
    with adapter.attached():
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
    switch = added(network, [Addition(adapter, lowest=0.5)])
    assert switch is not None
    for _ in range(2):
        with switch.at(Level(499.0, 0.8, 0.499)):
            assert torch.equal(network(GIVEN), before)
        with switch.at(Level(500.0, 0.8, 0.5)):
            torch.testing.assert_close(network(GIVEN), expected)
        assert torch.equal(network(GIVEN), before)
    torch.testing.assert_close(output(network, [Addition(adapter, 0.0)]), before)
    half = by_hand(network, {name: 0.5 * own for name, own in weight_changes(adapter).items()})
    torch.testing.assert_close(output(network, [Addition(adapter, 0.5)]), half)


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
    found = output(network, [Addition(factors, 0.7), Addition(others, 0.3), Addition(differences, 1.2)])
    torch.testing.assert_close(found, by_hand(network, sums))


def test_each_adapter_is_on_where_it_was_tuned():
    network = Net()
    factors, _ = trained(network, PLANS["factors"])
    others, _ = trained(network, Plan(LAYERS, rank=3), seed=5)
    differences, _ = trained(network, PLANS["differences"])
    additions = [Addition(factors, 1.0, 0.8), Addition(others, 1.0, 0.4), Addition(differences, 1.0, 0.6)]
    switch = added(network, additions)
    assert switch is not None
    for noise, count in ((0.9, 3), (0.7, 2), (0.5, 1), (0.3, 0), (0.9, 3)):
        on = [own for own in additions if own.lowest <= noise]
        assert len(on) == count
        changes = [weight_changes(own.tensors) for own in on]
        with switch.at(Level(0.0, 0.0, noise)):
            expected = by_hand(network, {name: sum(own[name] for own in changes) for name in LAYERS} if on else {})
            torch.testing.assert_close(network(GIVEN), expected)


@each_plan
def test_tuning_and_casting_may_take_turns_on_one_network(plan: Plan):
    """Between turns the network is as it was, so that none sees another's adapter."""
    network, state = Net(), {}
    before = network(GIVEN)
    held, _ = trained(network, PLANS["differences"], 3)
    one, other = perturbed(Tunable(network, plan, 0), 0.1), perturbed(Tunable(network, PLANS["factors"], 1), -0.2)
    switch = added(network, [Addition(held)])
    assert switch is not None
    for _ in range(2):
        for name, context in (("one", one.attached), ("other", other.attached), ("cast", lambda: switch.at(NOISY))):
            with context():
                assert torch.equal(network(GIVEN), state.setdefault(name, network(GIVEN)))
            assert torch.equal(network(GIVEN), before)
    assert not any(torch.allclose(own, before, atol=1e-3) for own in state.values())


def test_a_network_keeps_its_own_adapters():
    network = Net()
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["first"], init_lora_weights=False), network, "style")
    styled = network(GIVEN)
    assert added(network, []) is None
    assert torch.equal(network(GIVEN), styled)
    for act in (
        lambda: Tunable(network, PLANS["factors"], 0),
        lambda: added(network, [Addition({"first.difference": torch.ones(6, 4)})]),
    ):
        with pytest.raises(ModelError, match=r"low-rank adapters of its own, .*: pipeline.fuse_lora"):
            act()
    assert torch.equal(network(GIVEN), styled)


@each_plan
def test_weights_of_half_precision_are_tuned_in_single(plan: Plan):
    network = Net().to(torch.bfloat16)
    given = GIVEN.to(torch.bfloat16)
    before = network(given)
    adapter = Tunable(network, plan, 0)
    assert all(parameter.dtype == torch.float32 for parameter in adapter.parameters.values())
    with adapter.attached():
        assert torch.equal(network(given), before)
        network(given).square().mean().backward()
    assert any(parameter.grad.abs().max() > 0 for parameter in adapter.parameters.values())
    assert network.first.weight.dtype == torch.bfloat16 and torch.equal(network(given), before)


@each_plan
def test_what_is_tuned_lies_where_the_network_runs(plan: Plan):
    """A network that rests on another device when tuning begins is moved there later; here to one that keeps no numbers."""
    network, device = Net(), torch.device("meta")
    adapter = Tunable(network, plan, 0, device)
    assert {parameter.device for parameter in adapter.parameters.values()} == {device}
    network.to(device)
    with adapter.attached():
        assert network(GIVEN.to(device)).device == device


def test_tuning_is_with_dropout():
    network = Net()
    adapter = perturbed(Tunable(network, Plan(LAYERS, rank=2, dropout=0.5), 0), 0.3)
    with adapter.attached():
        assert not torch.equal(network(GIVEN), network(GIVEN))


@each_plan
def test_off_is_the_network_alone_while_tuning(plan: Plan):
    network = Net()
    before = network(GIVEN)
    adapter = perturbed(Tunable(network, plan, 0), 0.1)
    with adapter.attached():
        changed = network(GIVEN).detach()
        with adapter.only(()):
            assert torch.equal(network(GIVEN), before)
        assert torch.equal(network(GIVEN).detach(), changed) and not torch.equal(changed, before)
    assert all(parameter.requires_grad for parameter in adapter.parameters.values())


@each_plan
def test_a_checkpoint_holds_all_and_refuses_others(plan: Plan):
    network = Net()
    adapter = Tunable(network, plan, 0)
    with torch.no_grad():
        for parameter in adapter.parameters.values():
            parameter += torch.randn_like(parameter)
    state = {name: tensor.clone() for name, tensor in adapter.state_dict().items()}
    with adapter.attached():
        expected = network(GIVEN).detach()
    adapter = Tunable(network, plan, 1)
    adapter.load_state_dict(state)
    with adapter.attached():
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
    adapter = perturbed(Tunable(network, plan, 0), 0.3)
    with adapter.attached():
        assert not torch.equal(network(GIVEN), network(GIVEN))
    switch = added(network, [Addition(adapter.tensors(), 1.0)])
    assert switch is not None
    with switch.at(NOISY):
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
        adapter = perturbed(Tunable(network, PLANS["factors"], 0), 0.2)
        with adapter.attached():
            middle = checkpoint(network, GIVEN, use_reentrant=False) if at_once else network(GIVEN)

            def distance(given: torch.Tensor, adapter=adapter) -> torch.Tensor:
                with adapter.only(()):
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
        (lambda own: {}, "holds no layers"),
        (lambda own: {name: tensor for name, tensor in own.items() if "lora_A" in name}, "one factor without the other"),
        (lambda own: own | factors("third"), "model lacks"),
        (lambda own: own | factors("second.1"), "model lacks"),
        (lambda own: own | {"first.lora_B.weight": torch.ones(7, 2)}, r"has the size \(7, 2\) and the model needs \(6, 2\)"),
        (lambda own: own | {"first.lora_A.weight": torch.ones(3, 4), "first.lora_B.weight": torch.ones(6, 3)}, "different ranks"),
        (lambda own: own | {"first.weight": torch.ones(6, 4)}, "allowed is the name of a layer with"),
        (lambda own: {"first.difference": torch.ones(4, 6)}, r"has the size \(4, 6\) and the model needs \(6, 4\)"),
    ],
)  # fmt: skip
def test_a_foreign_adapter_is_refused_and_leaves_no_trace(damage, message: str):
    network = Net()
    adapter, _ = trained(network, PLANS["factors"])
    before = network(GIVEN)
    with pytest.raises(MotionError, match=message):
        added(network, [Addition(adapter), Addition(damage(adapter))])
    assert torch.equal(network(GIVEN), before) and type(network.first) is nn.Linear


@pytest.mark.parametrize("name", sorted(TRANSFORMERS))
def test_mixed_adapters_are_their_sum_on_every_family_and_on_both_networks(name: str):
    """Of factors and of differences, each at its strength."""
    given = TRANSFORMERS[name].model()
    layers = linear_of(given)
    first, second = adapter_of(layers, seed=1), adapter_of(layers, "differences", seed=2)
    sums: dict[str, torch.Tensor] = {}
    for adapter, strength in ((first, 0.7), (second, 0.4)):
        for layer, change in weight_changes(adapter).items():
            sums[layer + DIFFERENCE] = sums.get(layer + DIFFERENCE, 0) + strength * change
    plain, summed = outputs(given), outputs(given, sums)
    mixed = outputs(given, [Addition(first, 0.7), Addition(second, 0.4)])
    for ours, theirs, bare in zip(mixed, summed, plain, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)
        assert (ours - bare).abs().mean() > 1e-3
    for ours, bare in zip(outputs(given), plain, strict=True):
        assert torch.equal(ours, bare), "no trace is left"


def test_what_was_tuned_at_noisy_levels_is_on_at_them_alone_whichever_network_serves():
    given = TRANSFORMERS["wan-2.2"].model()
    adapter = adapter_of(linear_of(given))
    high = {n: own for n, own in adapter.items() if n.startswith("transformer.")}
    plain, both = outputs(given), outputs(given, adapter)
    noisy, clean = outputs(given, [Addition(adapter, lowest=0.9)])
    assert torch.equal(noisy, both[0]) and torch.equal(clean, plain[1])
    noisy, clean = outputs(given, high)
    assert torch.equal(noisy, both[0]) and torch.equal(clean, plain[1]), "of the other network nothing changes"


# Weights that are moved, or cast


@pytest.mark.parametrize("rank", [None, 4], ids=["weights", "factors"])
@pytest.mark.parametrize("how", ["block_level", "leaf_level", "fp8"])
@pytest.mark.parametrize("recomputed", [False, True], ids=["kept", "recomputed"])
def test_what_is_tuned_on_moved_weights_has_the_gradients_of_weights_that_stay(
    rank: int | None, how: str, recomputed: bool, tmp_path: Path
):
    plain, moved = TRANSFORMERS["wan-2.1"].model(), moved_model(how, tmp_path)
    if how == "fp8":
        for own, other in zip(moved.network.parameters(), plain.network.parameters(), strict=True):
            other.data = own.data.to(other.dtype)
    moved = moved.saving(replace(moved.about.measures, recomputed=recomputed))
    layers = plain.linear_layers("temporal_blocks")
    models = {"plain": plain, "moved": moved}
    adapters = {name: Tunable(model.network, Plan(layers, rank), 0, CPU) for name, model in models.items()}
    state = {name: value + 0.01 for name, value in adapters["plain"].state_dict().items()}
    found: dict[str, list[torch.Tensor]] = {}
    for name, model in models.items():
        shape, condition = TRANSFORMERS["wan-2.1"].shape, model.text.encode("a dog")
        latents = torch.randn(model.codec.latent_shape(shape), generator=torch.Generator().manual_seed(3))
        adapters[name].load_state_dict(state)
        with model.turn(), adapters[name].attached():
            loss = model.predict(latents, model.schedule(4, shape).levels[1], condition).square().mean()
            found[name] = list(torch.autograd.grad(loss, list(adapters[name].parameters.values())))
    for one, other in zip(found["moved"], found["plain"], strict=True):
        assert other.abs().max() > 0
        torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-4)
    for key, tensor in adapters["plain"].tensors().items():
        torch.testing.assert_close(adapters["moved"].tensors()[key], tensor)


@pytest.mark.parametrize("how", ["block_level", "leaf_level"])
@pytest.mark.parametrize("kind", ["factors", "differences"])
def test_an_adapter_does_on_weights_that_wait_what_it_does_on_those_that_stay(how: str, kind: str, tmp_path: Path):
    plain, moved = TRANSFORMERS["wan-2.1"].model(), moved_model(how, tmp_path)
    adapter = adapter_of(linear_of(plain), kind)
    for one, other in zip(outputs(moved, adapter), outputs(plain, adapter), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_factors_on_weights_of_8_bits_are_not_drawn_in_8_bits(tmp_path: Path):
    moved = moved_model("fp8", tmp_path)
    adapter = Tunable(moved.network, Plan(moved.linear_layers("temporal"), 4), 0, CPU)
    downs = [value for name, value in adapter.parameters.items() if name.endswith(DOWN)]
    assert all(down.dtype is torch.float32 and not torch.equal(down, down.to(STORED).float()) for down in downs)


def test_nothing_is_tuned_on_what_a_quantizer_holds():
    network = nn.ModuleDict({"transformer": Net()})
    network["transformer"].hf_quantizer = SimpleNamespace(quantization_config=SimpleNamespace(load_in_4bit=True))
    with pytest.raises(ModelError, match=r"held by a quantizer, .* or take a method that guides$"):
        Tunable(network, Plan(["transformer.first"]), 0)


def moved_model(how: str, folder: Path) -> Transformer:
    """A model whose weights are held in 8 bits, or wait in files: their own memory is empty then."""
    twin = TRANSFORMERS["wan-2.1"]
    pipeline = twin.build()
    if how == "fp8":
        return twin.row(pipeline, "twin", CPU, measures=Measures(weights=Weights.FP8))
    pipeline.transformer.enable_group_offload(
        onload_device=CPU, offload_type=how, num_blocks_per_group=1, offload_to_disk_path=str(folder)
    )
    return twin.model(pipeline, given=True)


def test_factors_as_released_begin_as_normal_noise_and_drop_outputs():
    """Deviation 1 / rank, the second zero; in tuning half of what they add is dropped and the rest doubled."""
    torch.manual_seed(0)
    network = nn.ModuleDict({"a": nn.Linear(64, 500, bias=False)})
    plan = Plan(["a"], rank=8, dropout=0.5, as_released=True)
    adapter = Tunable(network, plan, 0)
    down, up = adapter.parameters["a.lora_A.weight"], adapter.parameters["a.lora_B.weight"]
    assert float(down.std()) == pytest.approx(1 / 8, rel=0.1) and not up.any()
    again = Tunable(network, plan, 0).parameters["a.lora_A.weight"]
    assert torch.equal(down, again)
    with torch.no_grad():
        up += 1.0
    given = torch.randn(1, 64)
    whole, alone = given @ down.T @ up.T, network["a"](given)
    with adapter.attached():
        added_up = (network["a"](given) - alone) / whole
    assert ((added_up.abs() < 1e-3) | ((added_up - 2).abs() < 1e-3)).all(), "each output is dropped, or doubled"
    assert float((added_up.abs() < 1e-3).float().mean()) == pytest.approx(0.5, abs=0.1)
