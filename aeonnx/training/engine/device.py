"""Choose the device to train on."""

from __future__ import annotations

import torch

from aeonnx.catalog.ranges import one_of
from aeonnx.errors import SetupError
from aeonnx.training.options import DEVICES

__all__ = ["resolve_device"]


def resolve_device(name: str, number: int = 0) -> torch.device:
    """The torch device for `--device`; "auto" is CUDA if it is available, else the CPU.

    Args:
        name: "auto", "cpu" or "cuda".
        number: index of the GPU.

    Raises:
        UnknownNameError: there is no such device.
        SetupError: CUDA was requested but is not available.
    """
    one_of("device", name, DEVICES)
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise SetupError(
            "--device cuda was asked for, but this torch sees no CUDA GPU: check the driver with "
            "nvidia-smi, or train with --device cpu"
        )
    return torch.device("cuda", number) if available and name != "cpu" else torch.device("cpu")
