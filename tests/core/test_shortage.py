"""Allocations that failed, by the words of those that failed to allocate."""

import errno

import cv2
import numpy as np
import pytest
import torch

from motionlift.core.shortage import is_shortage, shortage_behind, tried

GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.52 GiB")
CPU = RuntimeError(
    "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes. Error code 12"
)
WINDOWS = RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.")
APPLE = RuntimeError("MPS backend out of memory (max allowed: 9.07 GB). Tried to allocate 1.50 GB on private pool.")


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (GPU, ", where 2.00 GiB more were asked for"),
        (CPU, ", where 4096 bytes more were asked for"),
        (WINDOWS, ", where 9 bytes more were asked for"),
        (APPLE, ", where 1.50 GB more were asked for"),
        (MemoryError(), ""),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), ""),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), ""),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), ""),
        (RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"), ""),
        (RuntimeError("std::bad_alloc"), ""),
        (RuntimeError("could not create a memory object"), ""),
    ],
)
def test_a_failed_allocation_is_known_and_says_how_much_was_asked_for(error: Exception, asked: str):
    assert is_shortage(error) and shortage_behind(error) is error and tried(error) == asked


def test_so_are_those_of_numpy_and_opencv():
    with pytest.raises(MemoryError) as numpys:
        np.empty(10**16)
    assert is_shortage(numpys.value) and tried(numpys.value) == ", where 71.1 PiB more were asked for"
    with pytest.raises(cv2.error) as opencvs:
        cv2.resize(np.zeros((2, 2, 3)), (2**22, 2**20))
    assert is_shortage(opencvs.value)
    with pytest.raises(cv2.error) as other:
        cv2.resize(np.zeros((2, 2, 3)), (0, 0))
    assert not is_shortage(other.value)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shapes do not fit"),
        ValueError("out of memory"),
        OSError(errno.ENOENT, "no such file"),
        KeyError("x"),
    ],
)
def test_other_errors_are_none(error: Exception):
    assert not is_shortage(error) and shortage_behind(error) is None


def test_it_is_found_behind_what_a_library_makes_of_it():
    try:
        try:
            raise CPU
        except RuntimeError as error:
            raise OSError("Unable to load weights from checkpoint file") from error
    except OSError as error:
        assert not is_shortage(error) and shortage_behind(error) is CPU
