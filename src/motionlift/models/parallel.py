"""Networks whose sequence several processes share while they sample, by diffusers' context parallelism.

Every process holds the whole network and sees its share of the video's tokens; in attention it sees all tokens, and its share of
the heads (Ulysses; Jacobs et al., 2309.14509). What the network returns is put together again: all processes hold the same.
"""

import atexit
import logging
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as functional
from torch import nn
from torch.overrides import TorchFunctionMode

from motionlift.environment import check_processes
from motionlift.errors import ModelError, SettingError

BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""How processes speak to each other, by kind of device; of what is no tensor they speak by gloo."""
DEPRECATED = r"`torch\.distributed\._functional_collectives\."
"""Begins PyTorch's words on how diffusers has processes speak to each other."""
LOG = "diffusers.hooks.context_parallel"
"""The logger of diffusers that tells of tensors which are not shared out because they do not count tokens."""


class Parallel:
    """Processes that share the sequence of networks, within :meth:`sharing` alone."""

    def __init__(self, networks: Sequence[nn.Module], processes: int, device: torch.device):
        """Meet the other processes; blocks until all are there.

        Raises:
            SettingError: other processes than those were started, or they cannot speak to each other.
            ModelError: something other than diffusers' own attends.
        """
        from diffusers import ContextParallelConfig, ParallelConfig  # diffusers reads its lists of models by then

        for network in networks:
            _check_network(network, processes)
        _meet(processes, device)
        mesh = dist.init_device_mesh(device.type, (1, processes), mesh_dim_names=("ring", "ulysses"))
        self._context = ContextParallelConfig(ulysses_degree=processes)
        self._config = ParallelConfig(context_parallel_config=self._context)
        self._config.setup(dist.get_rank(), processes, device, mesh=mesh)
        self._plain = 0

    @contextmanager
    def plain(self) -> Iterator[None]:
        """Each process sees the whole until left, whatever runs within: what networks attend to is changed meanwhile."""
        self._plain += 1
        try:
            yield
        finally:
            self._plain -= 1

    @contextmanager
    def sharing(self, network: Any) -> Iterator[None]:
        """Calls of a network are shared until left; hold the model's turn around it.

        All processes are to come here as often as each other, or they wait for one that does not come.
        """
        if self._plain:
            yield
            return
        from diffusers.hooks.context_parallel import apply_context_parallel, remove_context_parallel

        plan, log = _plan(network), logging.getLogger(LOG)
        with ExitStack() as stack:
            stack.callback(log.setLevel, log.level)
            log.setLevel(logging.ERROR)
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", DEPRECATED, FutureWarning)
            for module in _attending(network):
                stack.callback(setattr, module.processor, "_parallel_config", None)
                module.processor._parallel_config = self._config
            stack.callback(remove_context_parallel, network, plan)
            apply_context_parallel(network, self._context, plan)
            stack.enter_context(_MasksOfHeads())
            yield


class _MasksOfHeads(TorchFunctionMode):
    """Attention of a share of the heads takes a mask that was made for all of them.

    diffusers' LTX repeats the mask of the text for every head, and leaves it so where a process has some of the heads.
    """

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is functional.scaled_dot_product_attention and (mask := kwargs.get("attn_mask")) is not None:
            heads = kwargs["query"].shape[1]
            if mask.ndim == 4 and mask.shape[1] > heads:
                kwargs["attn_mask"] = mask[:, :heads]
        return func(*args, **kwargs)


def check_sharing(processes: int, family: Any, name: str, device: torch.device, others: Mapping[str, bool]) -> None:
    """Refuse before weights are read what cannot be shared.

    Args:
        processes: how many are to share.
        family: of the model.
        name: of the model.
        device: where it runs.
        others: what else is asked for that does not go with it, and whether it is.

    Raises:
        SettingError: the family, the device or something else does not go with it, or other processes were started.
    """
    if not family.context_parallel:
        from motionlift.models.families import families  # which import this

        able = sorted(title for title, own in families().items() if own.context_parallel)
        raise SettingError(
            f"{name} is of the family {family.family}, whose sequence cannot be shared among processes; those of "
            f"{' and '.join(able)} can: leave --parallel (parallel= in Python) out"
        )
    if device.type not in BACKENDS:
        raise SettingError(f"processes share a sequence on {' or '.join(BACKENDS)}, and the device is {device}")
    for other, is_asked in others.items():
        if is_asked:
            raise SettingError(f"{other} does not go with a sequence that processes share: leave one of them out")
    check_processes(processes)


def check_same(told: str) -> None:
    """Refuse processes that are about to do different things: they would wait for each other for ever.

    Raises:
        SettingError: another process tells something else.
    """
    found = _told_by_all(told)
    if len(set(found)) > 1:
        raise SettingError(
            f"the processes do not do the same, {' but '.join(dict.fromkeys(found))}: give all one command, one model and one "
            "--memory"
        )


def for_all(is_so: bool) -> bool:
    """Whether something is so for every process."""
    return all(_told_by_all(is_so))


def _told_by_all(told: Any) -> list[Any]:
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, told)
    return found


def _meet(processes: int, device: torch.device) -> None:
    """Have a group of all processes, each with a device of its own."""
    check_processes(processes)
    if not dist.is_available():
        raise SettingError("this PyTorch was built without torch.distributed, by which processes share a sequence")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        try:
            dist.init_process_group(BACKENDS[device.type])
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:160]
            raise SettingError(
                f"the {processes} processes cannot speak to each other ({reason}): start them by accelerate launch or torchrun"
            ) from error
        atexit.register(_part)
    places = _told_by_all(f"{device} of {platform.node()}")
    twice = sorted({place for place in places if places.count(place) > 1})
    if twice and device.type == "cuda":
        raise SettingError(
            f"several of the {processes} processes are on {' and '.join(twice)}: start as many as there are GPUs, and "
            "leave --device out, or give cuda"
        )


def _part() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def _check_network(network: Any, processes: int) -> None:
    """Refuse a network whose heads, or whose attention, cannot be shared."""
    heads = network.config.num_attention_heads
    if heads % processes:
        allowed = [str(number) for number in range(2, heads + 1) if heads % number == 0]
        raise SettingError(
            f"{processes} processes cannot share the {heads} heads of {type(network).__name__}; allowed are {', '.join(allowed)}"
        )
    own = [module.processor for module in network.modules() if getattr(module, "processor", None) is not None]
    others = sorted({type(each).__name__ for each in own if not hasattr(each, "_parallel_config")})
    if others:
        raise ModelError(
            f"{', '.join(others)} of {type(network).__name__} attend to a process's own share alone; switch the model back to its "
            "default attention processors, or leave --parallel (parallel= in Python) out"
        )


def _attending(network: nn.Module) -> Iterator[Any]:
    return (module for module in network.modules() if hasattr(getattr(module, "processor", None), "_parallel_config"))


def _plan(network: Any) -> dict[str, Any]:
    """Which tensors of a network diffusers shares out; a time for each token too, which it lacks for LTX."""
    from diffusers.models._modeling_parallel import ContextParallelInput

    own = network._cp_plan
    times = ContextParallelInput(split_dim=1, expected_dims=2, split_output=False)
    return {**own, "": {**own.get("", {}), "timestep": times}}
