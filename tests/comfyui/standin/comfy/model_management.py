"""What a ComfyUI that is not there says of devices, and of work that is to stop."""

import torch

unloaded = 0
"""How often its own models were moved away."""
_stopped = False


class InterruptProcessingException(BaseException):
    """As the real one no ``Exception``."""


def interrupt_current_processing(value: bool = True) -> None:
    global _stopped
    _stopped = value


def throw_exception_if_processing_interrupted() -> None:
    """As the real one it forgets what it told."""
    global _stopped
    if _stopped:
        _stopped = False
        raise InterruptProcessingException


def get_torch_device() -> torch.device:
    return torch.device("cpu")


def unload_all_models() -> None:
    global unloaded
    unloaded += 1


def soft_empty_cache() -> None:
    pass
