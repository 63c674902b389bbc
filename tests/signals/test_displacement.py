import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from motionlift.core.lattice import Lattice
from motionlift.errors import SettingError
from motionlift.signals.displacement import confirmed, displacement, displacement_loss

GRIDS = [Lattice(3, 3, 5), Lattice(1, 4, 2), Lattice(2, 1, 6)]


def random_attention(grid, heads=3, size=4, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (heads, grid.frames * grid.height * grid.width, size)
    return tuple(torch.randn(shape, generator=generator, dtype=dtype) for _ in range(2))


def plain(q, k, grid, temperature, hard=False):
    """The definition, written out: every head's logits, their mean, a softmax for each pair of frames."""
    area = grid.height * grid.width
    logits = torch.einsum("hnd,hmd->hnm", q, k).div(math.sqrt(q.shape[-1])).mean(dim=0)
    logits = logits.reshape(grid.frames, area, grid.frames, area).permute(0, 2, 1, 3)
    if hard:
        weights = torch.nn.functional.one_hot(logits.argmax(-1), area).to(q.dtype)
    else:
        weights = torch.softmax(temperature * logits, dim=-1)
    places = torch.tensor([[token % grid.width, token // grid.width] for token in range(area)], dtype=q.dtype)
    return torch.einsum("ijnm,mnc->ijnc", weights, places[:, None] - places[None])


def one_hot_tokens(grid, shift):
    """Features in which a token of frame i at p equals the token of frame j at p + (j - i) * shift, round the edges."""
    frames = torch.eye(grid.height * grid.width).reshape(grid.height, grid.width, -1)
    moved = [torch.roll(frames, (number * shift[1], number * shift[0]), dims=(0, 1)) for number in range(grid.frames)]
    return torch.stack(moved).flatten(0, 2)[None]


@pytest.mark.parametrize("hard", [True, False])
def test_a_shifted_pattern_gives_its_shift_x_then_y(hard):
    grid, shift = Lattice(3, 6, 9), (2, 1)
    features = one_hot_tokens(grid, shift) * 20
    found = displacement(features, features, grid, temperature=10.0, hard=hard)
    assert found.shape == (3, 3, 54, 2)
    for i in range(3):
        for j in range(3):
            inner = found[i, j].reshape(6, 9, 2)[2:4, 4:5]  # far enough from the edges that nothing wraps
            truth = torch.tensor([2.0 * (j - i), 1.0 * (j - i)]).expand_as(inner)
            torch.testing.assert_close(inner, truth, atol=1e-4, rtol=0)


def test_even_attention_points_to_the_middle_of_the_frame():
    grid = Lattice(2, 3, 5)
    found = displacement(torch.zeros(2, 30, 4), torch.zeros(2, 30, 4), grid)
    corner, middle = found[0, 1, 0], found[1, 0, 7]
    torch.testing.assert_close(corner, torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(middle, torch.tensor([0.0, 0.0]))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("hard", [True, False])
def test_equals_the_plain_form(grid, heads, hard):
    q, k = random_attention(grid, heads)
    torch.testing.assert_close(displacement(q, k, grid, 3.0, hard), plain(q, k, grid, 3.0, hard))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_gradient_equals_that_of_the_plain_form(grid):
    inputs = [x.requires_grad_() for x in random_attention(grid)]
    weights = torch.randn(displacement(*inputs, grid).shape, dtype=torch.float64)
    found = torch.autograd.grad((displacement(*inputs, grid, 3.0) * weights).sum(), inputs)
    truth = torch.autograd.grad((plain(*inputs, grid, 3.0) * weights).sum(), inputs)
    torch.testing.assert_close(found, truth)


@pytest.mark.slow
def test_gradient_equals_finite_differences(monkeypatch):
    monkeypatch.setattr("motionlift.signals.displacement.LOGITS_AT_ONCE", 30)  # runs of 5 queries of 12
    grid = Lattice(2, 2, 3)
    inputs = [x.requires_grad_() for x in random_attention(grid, heads=2, size=3)]
    assert torch.autograd.gradcheck(lambda q, k: displacement(q, k, grid, temperature=1.5), inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_computes_in_single_precision_and_returns_gradients_in_the_inputs(dtype):
    grid = Lattice(2, 3, 4)
    inputs = [x.to(dtype).requires_grad_() for x in random_attention(grid)]
    found = displacement(*inputs, grid)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), plain(*(x.double() for x in inputs), grid, 2.0), atol=1e-5, rtol=1e-5)
    found.square().sum().backward()
    assert all(x.grad.dtype == dtype and x.grad.isfinite().all() and x.grad.any() for x in inputs)


def test_autocast_changes_nothing():
    grid = Lattice(2, 3, 4)
    inputs = [x.requires_grad_() for x in random_attention(grid, dtype=torch.float32)]
    truth = displacement(*inputs, grid)
    with torch.autocast("cpu", torch.bfloat16):
        found = displacement(*inputs, grid)
        gradient = torch.autograd.grad(found.sum(), inputs)
    torch.testing.assert_close(found, truth, atol=0, rtol=0)
    torch.testing.assert_close(gradient, torch.autograd.grad(truth.sum(), inputs), atol=0, rtol=0)


def test_large_logits_stay_finite():
    grid = Lattice(2, 3, 4)
    inputs = [(1000 * x).float().requires_grad_() for x in random_attention(grid)]
    found = displacement(*inputs, grid)
    found.sum().backward()
    assert found.isfinite().all()
    assert all(x.grad.isfinite().all() for x in inputs)


def test_hard_carries_no_gradient():
    grid = Lattice(2, 3, 4)
    q, k = (x.requires_grad_() for x in random_attention(grid))
    assert not displacement(q, k, grid, hard=True).requires_grad


class Largest(TorchDispatchMode):
    """Notes the most elements of any tensor that an operation returns."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.elements = max(self.elements, *sizes, 0)
        return result


def most_elements(compute, inputs):
    """Of forward and backward together."""
    with Largest() as largest:
        compute(*inputs).sum().backward()
    return largest.elements


@pytest.mark.parametrize("budget", [2**22, 1000])
def test_holds_at_most_one_target_frame_of_logits(budget, monkeypatch):
    monkeypatch.setattr("motionlift.signals.displacement.LOGITS_AT_ONCE", budget)
    grid, heads, size = Lattice(5, 6, 7), 8, 2
    inputs = [x.requires_grad_() for x in random_attention(grid, heads, size)]
    everything = heads * grid.tokens**2
    assert most_elements(lambda q, k: plain(q, k, grid, 2.0), inputs) == everything  # the measure sees what it should
    allowed = max(min(grid.tokens * grid.area, budget), inputs[0].numel())
    assert most_elements(lambda q, k: displacement(q, k, grid), inputs) <= allowed


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_refuses_a_temperature_out_of_range(temperature):
    grid = Lattice(2, 3, 4)
    with pytest.raises(SettingError, match="temperature"):
        displacement(*random_attention(grid), grid, temperature)


def test_refuses_tokens_that_do_not_fill_the_lattice():
    with pytest.raises(SettingError, match="24 tokens do not fill a lattice of 2x3x5"):
        displacement(*random_attention(Lattice(2, 3, 4)), Lattice(2, 3, 5))


def entries(*vectors):
    return torch.tensor(vectors)[None, None]


def test_loss_averages_over_x_and_y_and_moving_entries():
    reference = entries([3.0, 4.0], [0.0, 0.0], [1.0, 0.0])
    generated = entries([0.0, 0.0], [9.0, 9.0], [1.0, 2.0])
    assert displacement_loss(generated, reference) == (25 + 4) / 2 / 2
    assert displacement_loss(generated, reference, threshold=1.0) == 25 / 2  # strictly longer
    assert displacement_loss(generated, reference, threshold=-1.0) == pytest.approx((25 + 162 + 4) / 3 / 2)


@pytest.mark.parametrize("threshold", [0.0, -1.0])
def test_loss_leaves_unknown_entries_out(threshold):
    reference = entries([math.nan, math.nan], [1.0, 0.0])
    generated = entries([5.0, 5.0], [0.0, 0.0]).requires_grad_()
    loss = displacement_loss(generated, reference, threshold)
    loss.backward()
    assert loss == 1 / 2
    assert generated.grad.tolist() == [[[[0.0, 0.0], [-1.0, 0.0]]]]


def test_loss_of_no_entry_is_zero_with_a_gradient():
    generated = entries([5.0, 5.0], [1.0, 1.0]).requires_grad_()
    loss = displacement_loss(generated, entries([math.nan, math.nan], [0.0, 0.0]))
    loss.backward()
    assert loss == 0
    assert generated.grad.abs().sum() == 0


def test_loss_gives_the_reference_no_gradient():
    generated, reference = (torch.randn(2, 2, 6, 2).requires_grad_() for _ in range(2))
    displacement_loss(generated, reference).backward()
    assert generated.grad is not None
    assert reference.grad is None


def test_loss_refuses_a_threshold_that_is_no_number():
    with pytest.raises(SettingError, match="threshold"):
        displacement_loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), math.nan)


def test_what_leads_back_is_confirmed():
    """A shift round the edges, whose way back is known, is kept whole; broken entries alone are left out."""
    grid = Lattice(3, 4, 5)
    tokens = one_hot_tokens(grid, (1, 2)) * 50
    field = displacement(tokens, tokens, grid, hard=True)
    assert torch.equal(confirmed(field, grid), field)
    broken = field.clone()
    broken[0, 2, 7] += torch.tensor([2.0, 0.0])  # token 7 is column 2, row 1; its way back now begins elsewhere
    kept = confirmed(broken, grid)
    assert kept[0, 2, 7].isnan().all()
    assert torch.equal(kept[0, 1], field[0, 1]) and torch.equal(kept[1], field[1])


def test_a_miss_of_one_token_is_confirmed_and_of_more_is_not():
    grid = Lattice(2, 1, 6)
    field = torch.zeros(2, 2, 6, 2)
    field[0, 1, 0, 0], field[1, 0, 3, 0] = 3, -2  # one short of home
    field[0, 1, 1, 0], field[1, 0, 4, 0] = 3, -1  # two short
    kept = confirmed(field, grid)
    assert kept[0, 1, 0].tolist() == [3, 0]
    assert kept[0, 1, 1].isnan().all()
    assert confirmed(field, grid, tolerance=2)[0, 1, 1].tolist() == [3, 0]


def test_chance_is_seldom_confirmed():
    grid = Lattice(4, 8, 8)
    q, k = random_attention(grid)
    apart = ~torch.eye(4, dtype=torch.bool)
    share = (~confirmed(displacement(q, k, grid, hard=True), grid).isnan().any(dim=-1))[apart].double().mean()
    assert share < 0.25
