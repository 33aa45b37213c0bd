"""How the weights were trained, as recorded in the manifest."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Training", "TrainingStage"]


@dataclass(frozen=True)
class TrainingStage:
    """One stage of the training, with its own loss.

    Args:
        name: such as "pretrain 1" or "finetune".
        objective: the loss that was minimised, in words.
        corruption: noise added to the inputs, such as "masking 0.25"; None for none.
        epochs: passes over the training images.
    """

    name: str
    objective: str
    corruption: str | None
    epochs: int


@dataclass(frozen=True)
class Training:
    """How the weights were trained.

    Args:
        data: name of the data set.
        data_fingerprint: SHA-256 over the images, train then test, with their shapes and labels.
        data_split: how the images were split into training and test images.
        train_images: number of training images, including those held out for early stopping.
        test_images: number of test images.
        seed: for the initial weights, the order of the images and the noise.
        epochs: passes over the training images in the last stage.
        batch_size: images per step.
        lr: highest learning rate.
        optimizer: other options of the optimisation, such as schedule, precision and weight
            averaging.
        options: options of the model's training, such as the corruption.
        stages: in order.
        metrics: on the test images, by name; empty if the weights were not tested.
        weights: which weights of the run these are, such as "epoch 20 of 20" or "epoch 7 of 12,
            the best".
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
