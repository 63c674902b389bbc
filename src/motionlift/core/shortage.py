"""Allocations that failed, by what Python, PyTorch and the system say of them."""

import errno
import re

SAID = (
    *("not enough memory", "can't allocate memory", "cannot allocate memory", "out of memory", "insufficient memory"),
    *(
        "_status_alloc_failed",
        "unable to find a valid cudnn algorithm",
    ),  # cuBLAS and cuDNN, which want some beside PyTorch's
    *("std::bad_alloc", "could not create a memory object"),  # C++ and oneDNN
)
"""What allocators say where there is no more, of devices and of main memory, in small letters."""
TRIED = re.compile(r"(?:tried|unable) to allocate (\d+(?:\.\d+)? [KMGTPE]?i?B(?:ytes)?)\b", re.IGNORECASE)
"""How PyTorch's allocators, and numpy's, say how much was asked for."""


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that an allocation failed."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # PyTorch's, without importing it
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    is_said = isinstance(error, RuntimeError | OSError) or type(error).__module__ == "cv2"  # OpenCV's own, likewise
    return is_said and any(words in str(error).lower() for words in SAID)


def shortage_behind(error: BaseException) -> BaseException | None:
    """The failed allocation behind an error, if one is: libraries that read files make errors of their own of it."""
    behind: BaseException | None = error
    while behind is not None and not is_shortage(behind):
        behind = behind.__cause__ or behind.__context__
    return behind


def tried(error: BaseException) -> str:
    """How much was asked for, for the end of a clause; empty where that is not said."""
    found = TRIED.search(str(error))
    return "" if found is None else f", where {found[1]} more were asked for"
