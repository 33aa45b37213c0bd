"""Data of which some classes are odd: trained on normal ones alone, tested on both."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

import aeonnx
from aeonnx.checkpoint import load
from aeonnx.errors import AeonnxError
from aeonnx.models import Model
from aeonnx.training import load_data
from aeonnx.training.data import DataSet, with_normal

LARGE = {"hidden": (4, 4, 8, 8, 8), "latent_size": 8, "batch_size": 4, "epochs": 1}
SMALL = {"epochs": 1, "batch_size": 50, "device": "cpu", "seed": 0}


def sample() -> DataSet:
    return load_data("mnist-sample", Path())


@pytest.fixture(scope="module")
def defects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/good, test/good, test/hole and test/spot, and masks: digits with painted defects."""
    folder = tmp_path_factory.mktemp("defects")
    data, rng = sample(), np.random.default_rng(0)
    digits = data.train.images.read(torch.arange(0, 4000, 5))[:, 0].numpy()

    def save(pixels: Any, *path: str) -> None:
        target = folder.joinpath(*path)
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target)

    for number, digit in enumerate(digits[:600]):
        save(digit, "train", "good", f"{number}.png")
    for number, digit in enumerate(digits[600:700]):
        save(digit, "test", "good", f"{number}.png")
    for number, digit in enumerate(digits[700:740]):
        kind = ("hole", "spot")[number % 2]
        mask = np.zeros_like(digit)
        top, left = rng.integers(0, 22, 2)
        mask[top : top + 6, left : left + 6] = 255
        save(np.where(mask, 255 - digit, digit), "test", kind, f"{number}.png")
        name = f"{number}_mask.png" if kind == "hole" else f"{number}.png"
        save(mask, "ground_truth", kind, name)
    return folder


def scored(model: Model, pixels: Any) -> tuple[Any, Any]:
    """Errors and maps of uint8 images, as the definition says."""
    x = torch.from_numpy(pixels)[:, None].float() / 255
    with torch.no_grad():
        squares = (x - model.eval()(x)).square()[:, 0]
    return squares.mean((1, 2)).numpy(), squares.numpy()


def mask(test: Path) -> Path:
    """Where the mask of a test picture is."""
    name = f"{test.stem}_mask.png" if test.parent.name == "hole" else test.name
    return test.parents[2] / "ground_truth" / test.parent.name / name


def read(folder: Path, *parts: str) -> Any:
    paths = sorted(folder.joinpath(*parts).glob("*.png"))
    return np.stack([np.asarray(Image.open(path)) for path in paths])


def test_the_layout_of_defect_data_is_read_as_it_is(defects: Path, tmp_path: Path) -> None:
    aeonnx.train("ae", tmp_path / "run", data=defects, **SMALL)
    run = load(tmp_path / "run", "ae")
    record = run.training
    assert record is not None
    assert (record.train_images, record.test_images) == (600, 100)
    assert record.data_split == "given; trained on good"
    good = scored(run.model, read(defects, "test", "good"))
    odd = [scored(run.model, read(defects, "test", kind)) for kind in ("hole", "spot")]
    errors = np.concatenate([good[0], *(each[0] for each in odd)])
    truth = np.repeat([0, 1], [100, 40])
    found = record.metrics
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, errors), abs=1e-3)
    assert found["aupr"] == pytest.approx(average_precision_score(truth, errors), abs=1e-3)
    limit = np.sort(good[0][::2])[-1]  # 50 scores: p99 is the highest
    assert found["false_alarms_p99"] <= 0.1
    assert found["found_p99"] == pytest.approx(
        np.mean(np.concatenate([each[0] for each in odd]) > limit), abs=0.15
    )
    tests = [
        path for kind in ("hole", "spot") for path in sorted((defects / "test" / kind).iterdir())
    ]
    masks = np.stack([np.asarray(Image.open(mask(path))) for path in tests])
    pixels = np.concatenate([odd[0][1].ravel(), odd[1][1].ravel(), good[1].ravel()])
    marked = np.concatenate([masks.ravel() > 0, np.zeros(good[1].size, bool)])
    assert found["pixel_auroc"] == pytest.approx(roc_auc_score(marked, pixels), abs=1e-3)
    assert found["pixel_auroc"] > 0.6


def test_normal_classes_by_name_or_range() -> None:
    data = sample()
    for text, kept in (("0-8", range(9)), ("3", [3]), ("7,0-2", [0, 1, 2, 7])):
        found = with_normal(data, text, classifies=False)
        assert found.odd is not None
        assert found.classes == tuple(map(str, kept))
        assert (len(found.train.images), len(found.test.images)) == (
            400 * len(kept),
            100 * len(kept),
        )
        assert len(found.odd.split.images) == 500 * (10 - len(kept))
        places = torch.tensor([0, len(found.train.images) - 1, 5])
        labels = [found.classes[label] for label in found.train.labels[places]]  # type: ignore[index]
        pixels = found.train.images.read(places)
        for label, image in zip(labels, pixels, strict=True):
            same = (data.train.images.read(torch.arange(4000)) == image).flatten(1).all(1)
            assert str(int(data.train.labels[same][0])) == label  # type: ignore[index]


def test_odd_images_come_in_any_order() -> None:
    found = with_normal(sample(), "0-8", classifies=False)
    assert found.odd is not None
    images, places = found.odd.split.images, torch.tensor([450, 3, 499, 0, 401])
    one_by_one = torch.cat([images.read(place[None]) for place in places])
    assert torch.equal(images.read(places), one_by_one)
    assert len({image.numpy().tobytes() for image in one_by_one}) == 5


def test_classes_that_are_numbers_are_between_numbers(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / str(number)).mkdir()
        for place in range(10):
            Image.new("L", (28, 28), place).save(tmp_path / str(number) / f"{place}.png")
    data = load_data(str(tmp_path), Path())
    for text, kept in (("0-8", range(9)), ("8-10", (8, 9, 10)), ("1,9-11", (1, 9, 10, 11))):
        found = with_normal(data, text, classifies=False)
        assert {*found.classes} == {*map(str, kept)}
    for text in ("10-2", "0-12"):
        with pytest.raises(AeonnxError, match=f"--normal {text}: '{text}' is none of the classes"):
            with_normal(data, text, classifies=False)


def test_folders_named_normal_and_odd_say_it_themselves(tmp_path: Path) -> None:
    digits = sample().train.images.read(torch.arange(0, 4000, 40))[:, 0].numpy()
    for number, digit in enumerate(digits):
        kind = "odd" if number % 4 == 0 else "normal"
        (tmp_path / kind).mkdir(exist_ok=True)
        Image.fromarray(digit).save(tmp_path / kind / f"{number}.png")
    data = load_data(str(tmp_path), Path())
    found = with_normal(data, None, classifies=False)
    assert (found.normal, found.classes) == (("normal",), ("normal",))
    assert found.odd is not None
    assert len(found.odd.split.images) == 25
    assert with_normal(data, None, classifies=True) is data  # an sdae learns both


@pytest.mark.slow  # what resuming keeps is tested of other models too
def test_a_stopped_run_resumes_with_the_same_normal_classes(tmp_path: Path) -> None:
    options = {**SMALL, "normal": "0-8", "schedule": "constant"}
    aeonnx.train("ae", tmp_path / "one", **{**options, "epochs": 2})
    aeonnx.train("ae", tmp_path / "two", **options)
    aeonnx.train("ae", tmp_path / "two", epochs=2, resume=True)
    one, two = (load(tmp_path / name, "ae") for name in ("one", "two"))
    assert one.checkpoint_id == two.checkpoint_id
    assert one.training is not None
    assert two.training is not None
    assert one.training.metrics["auroc"] == two.training.metrics["auroc"]
    with pytest.raises(AeonnxError, match="--normal was 0-8, is 0-7"):
        aeonnx.train("ae", tmp_path / "two", epochs=2, resume=True, normal="0-7")


@pytest.mark.parametrize(
    ("normal", "text"),
    [
        (
            "ten",
            "--normal ten: 'ten' is none of the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9: expected "
            "names, or the first and the last of several such as 0-8",
        ),
        ("8-0", "--normal 8-0: '8-0' is none of the classes"),
        ("", "--normal : '' is none of the classes"),
        ("0-9", "--normal 0-9: these are all classes: leave it out"),
    ],
)
def test_other_classes_are_refused(tmp_path: Path, normal: str, text: str) -> None:
    with pytest.raises(AeonnxError) as caught:
        aeonnx.train("ae", tmp_path / "run", normal=normal)
    assert str(caught.value).startswith(text)
    assert not (tmp_path / "run").exists()


def test_data_without_classes_has_no_normal_ones(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((9, 28, 28), np.uint8))
    with pytest.raises(AeonnxError) as caught:
        aeonnx.train("ae", tmp_path / "run", data=tmp_path / "x.npy", normal="good")
    assert str(caught.value) == (
        "--normal good: x.npy has no classes: expected a folder with one subfolder per class, an "
        ".npz with `y`, or a data set with labels such as mnist-sample"
    )


def test_a_mask_of_another_size_is_refused(defects: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(defects, tmp_path / "data")
    mask = next((folder / "ground_truth" / "hole").iterdir())
    Image.new("L", (20, 28)).save(mask)
    with pytest.raises(AeonnxError, match="expected 28x28 pixels, got 20x28"):
        aeonnx.train("ae", tmp_path / "run", data=folder, **SMALL)


def test_odd_images_without_a_mask_are_counted(
    defects: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    command = request.getfixturevalue("aeonnx")
    folder = shutil.copytree(defects, tmp_path / "data" / "bottle")
    run = ("train", "-m", "ae", "--epochs", 1, "--device", "cpu", "--hidden", 8, "--latent", 2)
    refused = command(*run, "--data", "data", "-o", "run")
    assert refused.exit_code == 1, refused.output
    assert "data holds no image: expected files named " in refused.stderr
    assert refused.stderr.endswith(". data/bottle has train/ and test/: give that folder\n")
    told = "odd test images have no mask in ground_truth/: pixel_auroc leaves them out"
    done = command(*run, "--data", "data/bottle", "-o", "run")
    assert done.exit_code == 0, done.output
    assert told not in done.stderr
    for path in sorted((folder / "ground_truth" / "hole").iterdir())[:7]:
        path.unlink()
    done = command(*run, "--data", "data/bottle", "-o", "again")
    assert done.exit_code == 0, done.output
    assert f"7 of 40 {told}" in done.stderr


@pytest.mark.slow
def test_pictures_of_a_factory_are_larger_than_digits(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(100, 120, (20, 520, 700), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    aeonnx.train("ae", run, arch="conv", data=tmp_path / "x.npy", device="cpu", **LARGE)
    aeonnx.export("ae", bundle, checkpoint=run, parts="scorer")
    x[0, 100:140, 200:240] = 255
    found = aeonnx.load(bundle, ["cpu"]).score(x[:, None])
    assert found.scores.argmax() == 0
    assert found.maps is not None
    assert np.unravel_index(found.maps[0].argmax(), (520, 700)) >= (100, 200)
