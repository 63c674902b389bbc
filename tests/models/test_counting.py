"""Bytes of tensors, with values and without, by sizes that are known."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
import torch.nn.functional as functional
from torch.profiler import ProfilerActivity, profile

from motionlift.models.counting import META, counting


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_is_made_counts_until_it_goes_and_a_view_costs_nothing(device: str):
    with counting(device) as count:
        one = torch.empty(1000, device=device)
        view = one.view(10, 100).t()
        assert (count.live, count.peak) == (4000, 4000)
        other = one.half()
        assert count.live == 6000
        del one
        assert count.live == 6000  # the view holds it
        del view, other
        assert (count.live, count.peak) == (0, 6000)
        count.again()
        assert count.peak == 0


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_weights_are_left_out_and_what_backward_needs_is_not(device: str):
    layer = torch.nn.Linear(64, 64, bias=False, device=device)
    with counting(device) as count:
        count.leave_out(layer.parameters())
        given = torch.zeros(8, 64, device=device, requires_grad=True)
        out = layer(given).square().sum()
        assert count.live == 2 * 8 * 64 * 4 + 4  # what was given, what is squared, and the sum
        out.backward()
    assert count.peak >= 3 * 8 * 64 * 4


def test_attention_keeps_no_map_of_all_by_all():
    tokens, heads, size = 512, 2, 16
    with counting() as count:
        query = torch.empty(1, heads, tokens, size, device=META, requires_grad=True)
        count.again()
        functional.scaled_dot_product_attention(query, query, query).sum().backward()
    assert count.peak < heads * tokens * tokens * 4 / 2


def test_what_has_no_values_answers_what_it_is_asked_for():
    with counting() as count:
        tensor = torch.empty(3, 4, device=META)
        assert float(tensor.sum()) == 1.0 and bool(tensor.isfinite().all()) and torch.equal(tensor, tensor)
        assert tensor.cpu().shape == (3, 4) and tensor.cpu().device.type == "cpu"
        assert tensor[tensor > 0].shape == (12,)
        assert (tensor + torch.zeros(3, 4)).device == META
        count.again()
        torch.empty(2**20, device=META).cpu()
        assert count.live == 0 or count.live == 48
    assert not torch.zeros(1).item()


def test_half_precision_is_that_of_autocast():
    layer = torch.nn.Linear(8, 8, device=META)
    with counting():
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(torch.empty(2, 8, device=META)).dtype == torch.bfloat16
            with torch.autocast("meta", enabled=False):
                assert layer(torch.empty(2, 8, device=META)).dtype == torch.float32
        assert layer(torch.empty(2, 8, device=META)).dtype == torch.float32
    assert torch.autocast.__module__ == "torch.amp.autocast_mode"


def test_what_another_thread_runs_meanwhile_is_its_own():
    inside, counted = threading.Event(), threading.Event()

    def run() -> torch.dtype:
        with torch.autocast("cpu", torch.bfloat16):
            inside.set()
            assert counted.wait(10)
            return torch.nn.Linear(8, 8)(torch.empty(2, 8)).dtype

    with ThreadPoolExecutor(1) as threads:
        with counting():
            found = threads.submit(run)
            assert inside.wait(10)
            layer = torch.nn.Linear(8, 8, device=META)
            assert layer(torch.empty(2, 8, device=META)).dtype == torch.float32
        counted.set()
        assert found.result(10) == torch.bfloat16


def profiled(run) -> int:
    """Most bytes that PyTorch's own profiler saw at once."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        run()
    kept: Any = found.profiler
    events = [event for event in kept.kineto_results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def test_the_peak_is_that_of_the_allocator():
    network = torch.nn.Sequential(*[torch.nn.Conv3d(8, 8, 3, padding=1) for _ in range(3)])
    size = (1, 8, 9, 32, 32)

    def run(device: str = "cpu") -> None:
        given = torch.zeros(size, device=device, requires_grad=True)
        network(given).square().mean().backward()

    measured = profiled(run)
    with counting("cpu") as count:
        count.leave_out(network.parameters())
        network.zero_grad()
        run()
    assert count.peak == pytest.approx(measured, rel=0.15)
    network.to(META)
    network.zero_grad()
    with counting(is_main=True) as count:
        count.leave_out(network.parameters())
        run("meta")
    assert count.peak == pytest.approx(measured, rel=0.15)
