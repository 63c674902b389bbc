"""Whoever works on jobs: processes of this machine, or workers of a Ray cluster."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from motionlift.jobs.ray_pool import Needs, RayPool
from motionlift.jobs.workers import Workers, default_processes


def one_gpu(has_gpus: bool) -> Needs:
    """What a worker needs whose models are loaded wherever they can be: a GPU, where there are any."""
    return Needs(gpus=int(has_gpus))


def pool_of(
    ray: str | None, workers: int | None, needs: Callable[[bool], Needs] = one_gpu
) -> AbstractContextManager[Workers | RayPool]:
    """A pool, whose workers are there within a ``with`` block.

    Args:
        ray: ``local``, ``auto`` or an address, as of :class:`motionlift.jobs.ray_pool.RayPool`; None for processes of this machine.
        workers: how many; by default as the pool has it.
        needs: gives what a worker of a cluster needs of its machine, told whether any machine has a GPU.

    Raises:
        MotionliftError: what ``needs`` raises.
    """
    return Workers(workers or default_processes()) if ray is None else RayPool(ray, workers, needs)
