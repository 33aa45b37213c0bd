"""What the tests of data sets share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from PIL import Image

from aeonnx.errors import DataError
from aeonnx.training.data import DataSet, Split, load_data

ROOT = Path("/nowhere")  # no data set here is looked for there
PER_EXAMPLE = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def pixels(half: Split) -> torch.Tensor:
    return half.images.read(torch.arange(len(half.images)))


def everything(data: DataSet) -> torch.Tensor:
    return torch.cat([pixels(data.train), pixels(data.test)])


def assert_same(one: DataSet, other: DataSet) -> None:
    for a, b in ((one.train, other.train), (one.test, other.test)):
        assert a.images.shape == b.images.shape
        assert a.images.nbytes == b.images.nbytes
        assert len(a.images) == len(b.images)
        assert pixels(a).dtype == pixels(b).dtype
        assert torch.equal(pixels(a), pixels(b))
        assert (a.labels is None) == (b.labels is None)
        assert a.labels is None or torch.equal(a.labels, b.labels)
    assert (one.classes, one.split, one.skipped) == (other.classes, other.split, other.skipped)
    assert one.fingerprint == other.fingerprint


def write_flat(folder: Path, images: np.ndarray[Any, Any], suffix: str = "png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for place, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{place:03}.{suffix}")
    return folder


def write_classes(folder: Path, images: np.ndarray[Any, Any], labels: Any) -> Path:
    for label in np.unique(labels):
        write_flat(folder / f"digit-{label}", images[labels == label])
    return folder


def fails(path: Path | str, text: str, **options: bool) -> None:
    with pytest.raises(DataError, match=text):
        load_data(str(path), ROOT, **options)


def assert_labelled(data: DataSet, images: Any, labels: Any) -> None:
    """Every image has the label that it came with."""
    label_of = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for half in (data.train, data.test):
        assert half.labels is not None
        assert half.labels.dtype == torch.int64
        found = [label_of[image.numpy().tobytes()] for image in pixels(half)]
        assert half.labels.tolist() == found
