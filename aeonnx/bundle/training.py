"""How weights were learned."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Training", "TrainingStage"]


@dataclass(frozen=True)
class TrainingStage:
    """One stretch of the training, with a loss of its own.

    Args:
        name: such as "pretrain 1" or "finetune".
        objective: what was minimised, in words.
        corruption: what the inputs suffered, such as "masking 0.25"; None for nothing.
        epochs: passes over the training images.
    """

    name: str
    objective: str
    corruption: str | None
    epochs: int


@dataclass(frozen=True)
class Training:
    """How the weights were learned.

    Args:
        data: name of the data set.
        data_fingerprint: SHA-256 over the images, train then test, with their shapes and labels.
        data_split: how training and test images were told apart.
        train_images: how many, those held out included.
        test_images: how many.
        seed: of the initial weights, the order of the images and the noise.
        epochs: passes over the training images in the last stage.
        batch_size: images per step.
        lr: highest learning rate.
        optimizer: what else the optimisation was given: schedule, precision, average and so on.
        options: what the recipe was given, such as the corruption.
        stages: in order.
        metrics: on the test images, by name; of weights that were not tested, none.
        weights: which of the run's they are, such as "epoch 20 of 20" or "epoch 7 of 12, the best".
    """

    data: str
    data_fingerprint: str
    data_split: str
    train_images: int
    test_images: int
    seed: int
    epochs: int
    batch_size: int
    lr: float
    optimizer: dict[str, str | float]
    options: dict[str, str | float]
    stages: tuple[TrainingStage, ...]
    metrics: dict[str, float]
    weights: str
