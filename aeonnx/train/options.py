"""What to train, and on which device."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from aeonnx.errors import SetupError, UnknownNameError

__all__ = ["TrainOptions", "resolve_device"]


@dataclass(frozen=True)
class TrainOptions:
    """What to train, on what, and where to put it.

    Args:
        model: registered name.
        output: the run's folder; None for `runs/<model>`.
        arch: "mlp" or "conv".
        data: name of a data set.
        data_dir: folder of the data sets.
        epochs: passes over the training images; None for the recipe's.
        batch_size: images per step; None for the recipe's.
        lr: learning rate of Adam; None for the recipe's.
        seed: of weights, order and noise.
        device: "auto", "cpu" or "cuda".
        recipe: options of the recipe, such as {"corruption": "masking"}.
        force: replace a checkpoint that is there.
    """

    model: str
    output: Path | None = None
    arch: str = "mlp"
    data: str = "mnist-sample"
    data_dir: Path = Path("data")
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    seed: int = 0
    device: str = "auto"
    recipe: dict[str, str | float] = field(default_factory=dict)
    force: bool = False


def resolve_device(name: str) -> torch.device:
    """The device that a name stands for; "auto" is CUDA where torch has it.

    Raises:
        UnknownNameError: there is no such device.
        SetupError: CUDA was asked for and is not there.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UnknownNameError("device", name, ("auto", "cpu", "cuda"))
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise SetupError(
            "--device cuda was asked for, but this torch sees no CUDA GPU: check the driver with "
            "nvidia-smi, or train with --device cpu"
        )
    return torch.device("cuda" if available and name != "cpu" else "cpu")
