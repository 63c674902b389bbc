"""A pass of each bundled network as it is and compiled, in one run, as a Markdown table.

Seconds of the processor, the best of several passes. The first compiled pass, with which the compiler is paid for, stands beside;
nothing is kept from earlier runs.
"""

import argparse
import os
import tempfile
import time

import torch

from motionlift.core.model import Model
from motionlift.models.loading import load

MODELS = ("tiny-dit", "tiny-unet")
PROMPT = "a red star on a blue plain background"


def worked() -> float:
    """Seconds that this process and those that it waited for have worked."""
    return time.process_time() + sum(os.times()[2:4])


def passes(model: Model, count: int) -> list[float]:
    """Seconds of each of some passes."""
    shape, seconds = model.about.shape, []
    latents = torch.randn(model.codec.latent_shape(shape), generator=torch.Generator().manual_seed(0))
    level, condition = model.schedule(20, shape).levels[3], model.text.encode(PROMPT, shape)
    with torch.no_grad(), model.turn():
        for _ in range(count):
            start = worked()
            model.predict(latents.to(model.about.device), level, condition)
            seconds.append(worked() - start)
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp()  # what an earlier run compiled does not count
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # processes that are waited for
    print("| model | a pass, ms | compiled, ms | share | first, s | paid back after |\n|---|---|---|---|---|---|")
    for name in MODELS:
        plain = min(passes(load(name, "cpu"), arguments.repeats))
        first, *others = passes(load(name, "cpu", compiled=True), arguments.repeats)
        saved = plain - min(others)
        back = f"{first / saved:,.0f} passes" if saved > 0 else "never"
        print(
            f"| {name} | {1e3 * plain:.0f} | {1e3 * min(others):.0f} | {min(others) / plain:.2f} | {first:.0f} | {back} |"
        )


if __name__ == "__main__":
    main()
