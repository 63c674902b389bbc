"""Time and peak memory of forward and backward of the displacement, against the plain form, as a Markdown table.

The plain form makes every head's logits, takes their mean, and then the softmax. Each form runs in a process of its
own; its peak is the highest resident memory of the first pass, less what was resident once the inputs were there. Linux only.

A second table tells what share of a guided look the displacement is, on the bundled models: as much as could be saved at most by
leaving pairs of frames out.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from motionlift.models.sources import BUNDLED_MODELS

MIDDLE = (6, 15, 22, 12, 64)
LARGE = (13, 30, 45, 48, 64)
"""CogVideoX-5B at 49 frames of 480x720, where the plain form would need hundreds of gigabytes."""


def plain(q, k, lattice, temperature=2.0):
    import torch

    area = lattice.height * lattice.width
    logits = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).mean(dim=0)
    weights = torch.softmax(temperature * logits.reshape(lattice.tokens, lattice.frames, area), dim=-1)
    places = torch.tensor([[token % lattice.width, token // lattice.width] for token in range(area)], dtype=q.dtype)
    reached = (weights @ places).reshape(lattice.frames, area, lattice.frames, 2).transpose(1, 2)
    return reached - places


def forward_and_backward(compute: Callable, q, k, lattice) -> float:
    """Seconds of one pass; the gradients are dropped."""
    start = time.perf_counter()
    compute(q, k, lattice).square().mean().backward()
    seconds = time.perf_counter() - start
    q.grad = k.grad = None
    return seconds


def resident(kind: str) -> int:
    """Resident bytes of this process: ``VmRSS`` now, ``VmHWM`` at most so far."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"{kind}:\s+(\d+)", status)[1])


def measure(form: str, sizes: tuple[int, ...], repeats: int, threads: int) -> dict[str, float]:
    """Best seconds and peak bytes beyond the inputs, in this process."""
    import torch

    from motionlift.core.lattice import Lattice
    from motionlift.signals.displacement import displacement

    torch.set_num_threads(threads)
    compute = {"plain": plain, "streamed": displacement}[form]
    frames, height, width, heads, size = sizes
    lattice = Lattice(frames, height, width)
    # A tiny pass first, so that no library is loaded while the real one is watched.
    forward_and_backward(compute, *(torch.randn(2, 16, 4, requires_grad=True) for _ in range(2)), Lattice(2, 2, 4))
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(heads, lattice.tokens, size, generator=generator).requires_grad_() for _ in range(2))
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest resident size so far
    before = resident("VmRSS")
    seconds = [forward_and_backward(compute, q, k, lattice)]
    peak = resident("VmHWM") - before
    seconds += [forward_and_backward(compute, q, k, lattice) for _ in range(repeats - 1)]
    return {"seconds": min(seconds), "bytes": peak}


def measure_apart(form: str, sizes: tuple[int, ...], repeats: int, threads: int) -> dict[str, float]:
    """The same in a fresh process."""
    arguments = json.dumps([form, sizes, repeats, threads])
    done = subprocess.run([sys.executable, __file__, "--measure", arguments], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def look(model: str, repeats: int, threads: int) -> dict[str, float]:
    """Least seconds of the processor of a guided look of DiTFlow, forward and backward, and of the displacement in it."""
    import torch

    from motionlift.methods import method
    from motionlift.models.loading import load
    from motionlift.signals.displacement import displacement

    torch.set_num_threads(threads)
    loaded = load(model, "cpu")
    settings = method("ditflow").with_preset("ours", loaded)
    shape = loaded.codec.fitting(None)
    (block,) = settings.block
    level = loaded.schedule(settings.steps, shape).levels[0]
    condition = loaded.text.encode("a red star", shape)
    latents = torch.randn(loaded.codec.latent_shape(shape), generator=torch.Generator().manual_seed(0)).requires_grad_()
    looks, fields = [], []
    for _ in range(repeats):
        began = time.process_time()
        seen = loaded.record(latents, level, condition, [block], features=False)[block]
        field = displacement(seen.query[0], seen.key[0], loaded.lattice(shape, block), settings.temperature)
        torch.autograd.grad(field.square().mean(), latents)
        looks.append(time.process_time() - began)
        q, k = (tensor[0].detach().requires_grad_() for tensor in (seen.query, seen.key))
        began = time.process_time()
        field = displacement(q, k, loaded.lattice(shape, block), settings.temperature)
        torch.autograd.grad(field.square().mean(), [q, k])
        fields.append(time.process_time() - began)
    return {"look": min(looks), "displacement": min(fields)}


def row(name: str, sizes: tuple[int, ...], found: dict[str, float]) -> str:
    frames, height, width, heads, size = sizes
    case = f"{frames} x {height} x {width}, {heads} heads of {size}"
    return f"| {case} | {name} | {found['seconds']:.2f} | {found['bytes'] / 1e6:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="passes of each form; the best counts (default 7)")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default 1)")
    parser.add_argument(
        "--large", action="store_true", help="also one streamed pass at the size of CogVideoX-5B (minutes)"
    )
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*json.loads(arguments.measure))))
        return
    print(f"Forward and backward in single precision, threads: {arguments.threads}, best of {arguments.repeats}.\n")
    print("| frames x rows x columns | form | seconds | peak beyond inputs, MB |\n|---|---|---:|---:|")
    found = {}
    for form in ("plain", "streamed"):
        found[form] = measure_apart(form, MIDDLE, arguments.repeats, arguments.threads)
        print(row(form, MIDDLE, found[form]), flush=True)
    ratios = {what: found["plain"][what] / found["streamed"][what] for what in ("seconds", "bytes")}
    print(f"| | plain / streamed | {ratios['seconds']:.1f}x | {ratios['bytes']:.1f}x |", flush=True)
    print("\n| model | a look, s | of it the displacement, s | share |\n|---|---:|---:|---:|")
    for model in BUNDLED_MODELS:
        own = look(model, arguments.repeats, arguments.threads)
        share = own["displacement"] / own["look"]
        print(f"| {model} | {own['look']:.3f} | {own['displacement']:.3f} | {share:.0%} |", flush=True)
    if arguments.large:
        print(row("streamed", LARGE, measure_apart("streamed", LARGE, 1, arguments.threads)))


if __name__ == "__main__":
    main()
