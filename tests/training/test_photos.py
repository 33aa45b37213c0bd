"""A denoiser of photographs of any size: crops to train on, whole pictures to run on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_images

import aeonnx
import aeonnx as library
from aeonnx.catalog.ranges import Levels, allowed_by
from aeonnx.checkpoint import load
from aeonnx.errors import DataError, QualityError, UsageError
from aeonnx.exporting import variants
from aeonnx.exporting.verify import quality
from aeonnx.models import configure
from aeonnx.training import load_data
from aeonnx.training.corruption import Corruption
from aeonnx.training.random import Noise

SMALL = {"hidden": (8, 16), "batch_size": 8, "device": "cpu", "lr": 3e-3, "seed": 0}


@pytest.fixture(scope="module")
def photos(
    brief: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Pieces of two photographs, of four sizes: six to train on and two to test on."""
    folder = tmp_path_factory.mktemp("photos")
    sizes = {"train": [(200, 300), (131, 290), (200, 128), (150, 301)], "test": [(141, 203)]}
    for part, shapes in sizes.items():
        (folder / part).mkdir()
        for which, photo in enumerate(load_sample_images().images):
            for place, (height, width) in enumerate(shapes):
                top = 220 if part == "test" else 0
                piece = photo[top : top + height, 100 * place : 100 * place + width]
                Image.fromarray(piece).save(folder / part / f"{which}-{place}.png")
    return folder


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs."""
    output = tmp_path_factory.mktemp("run") / "dae"
    options = {**SMALL, "epochs": 3, "batch_size": 2, "workers": 0}
    aeonnx.train("dae", output, arch="unet", data=photos, schedule="constant", ema=0.9, **options)
    return output


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> aeonnx.Bundle:
    """Its export."""
    output = tmp_path_factory.mktemp("dist") / "dae"
    aeonnx.export("dae", output, checkpoint=run)
    return aeonnx.load(output, ["cpu"])


def noisy_picture(photos: Path) -> tuple[np.ndarray, np.ndarray]:
    """A test picture of odd size and the same with noise, float32 [1, 3, H, W]."""
    clean = np.asarray(Image.open(photos / "test" / "0-0.png"), np.float32) / 255
    clean = clean.transpose(2, 0, 1)[None]
    noise = np.random.default_rng(0).normal(0, 0.1, clean.shape)
    return clean, (clean + noise).clip(0, 1).astype(np.float32)


def psnr(found: np.ndarray, clean: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(found - clean).mean()))


def test_a_picture_of_odd_size_comes_out_cleaner(bundle: aeonnx.Bundle, photos: Path) -> None:
    clean, noisy = noisy_picture(photos)
    denoised = bundle.denoise(noisy)
    assert denoised.shape == clean.shape
    assert psnr(denoised, clean) > psnr(noisy, clean) + 1


def test_the_bundle_has_a_denoiser_of_any_size_with_a_margin(bundle: aeonnx.Bundle) -> None:
    assert bundle.parts == ("denoiser",)
    axes = bundle.variant("denoiser").axes
    assert {axes[name].multiple for name in ("height", "width")} == {4}
    for name in ("height", "width"):
        margin = axes[name].margin
        assert margin is not None, name
        assert 20 < margin < 64, name


def test_the_graph_gives_what_the_trained_network_gives(
    run: Path, bundle: aeonnx.Bundle, photos: Path
) -> None:
    _, noisy = noisy_picture(photos)
    with torch.no_grad():
        expected = load(run, "dae").model(torch.from_numpy(noisy)).clamp(0, 1)
    np.testing.assert_allclose(bundle.denoise(noisy), expected, atol=1e-5)


def test_tiles_are_the_whole(bundle: aeonnx.Bundle, photos: Path) -> None:
    in_tiles = aeonnx.load(bundle.path("denoiser").parent, ["cpu"], tile=160)
    _, noisy = noisy_picture(photos)
    large = np.concatenate([noisy, noisy[:, :, ::-1], noisy], axis=2)
    whole, tiles = bundle.denoise(large), in_tiles.denoise(large)
    np.testing.assert_allclose(tiles, whole, atol=1e-5)


def test_metrics_are_those_of_whole_pictures(run: Path, photos: Path) -> None:
    record = load(run, "dae").training
    assert record is not None
    assert (record.train_images, record.test_images) == (8, 2)
    assert record.stages[0].corruption == "gaussian 0.02-0.3"
    assert record.metrics["psnr"] > record.metrics["psnr_corrupted"] + 1
    whole = load_data(str(photos), Path(), crop=128).whole
    assert whole is not None
    sizes = {tuple(whole.images.read(torch.tensor([place])).shape) for place in range(2)}
    assert sizes == {(1, 3, 141, 203)}


def test_a_resumed_run_is_the_same_to_the_bit(photos: Path, tmp_path: Path) -> None:
    options = {"arch": "unet", "data": photos, "schedule": "constant", **SMALL, "hidden": (4,)}
    aeonnx.train("dae", tmp_path / "one", epochs=2, **options)
    aeonnx.train("dae", tmp_path / "two", epochs=1, **options)
    aeonnx.train("dae", tmp_path / "two", epochs=2, resume=True, data=photos)
    one, two = (load(tmp_path / name, "dae") for name in ("one", "two"))
    assert one.checkpoint_id == two.checkpoint_id


def test_crops_are_those_of_their_number_and_new_in_every_epoch(photos: Path) -> None:
    memory, stream = (load_data(str(photos), Path(), crop=128, stream=s) for s in (False, True))
    assert memory.fingerprint == stream.fingerprint
    images = memory.train.images
    places = torch.tensor([5, 0, len(images) + 5])
    crops = images.read(places)
    assert torch.equal(crops, stream.train.images.read(places))
    assert torch.equal(crops[1:2], images.read(torch.tensor([0])))
    assert not torch.equal(crops[0], crops[2])


@pytest.fixture
def red(tmp_path: Path) -> Path:
    """Two pictures of one colour, which no permutation of it is, to train on and one to test on."""
    for place, part in enumerate(("train", "train", "test")):
        (tmp_path / "red" / part).mkdir(parents=True, exist_ok=True)
        picture = Image.new("RGB", (130, 140), (200, 100, 10))
        picture.save(tmp_path / "red" / part / f"{place}.png")
    return tmp_path / "red"


def colours_of(crops: torch.Tensor) -> set[tuple[int, ...]]:
    assert (crops == crops[:, :, :1, :1]).all()
    return {tuple(crop.tolist()) for crop in crops[:, :, 0, 0]}


def test_crops_to_train_on_have_every_order_of_the_colours(red: Path) -> None:
    data = load_data(str(red), Path(), crop=128)
    assert colours_of(data.train.images.read(torch.arange(100))) == {*permutations((200, 100, 10))}
    assert colours_of(data.test.images.read(torch.arange(20))) == {(200, 100, 10)}
    assert data.whole is not None
    assert colours_of(data.whole.images.read(torch.tensor([0]))) == {(200, 100, 10)}


def test_pairs_keep_their_colours_since_each_can_have_a_noise_of_its_own(red: Path) -> None:
    data = load_data(str(red), Path(), crop=128, noisy=red)
    assert colours_of(data.train.images.read(torch.arange(100))) == {2 * (200, 100, 10)}


def test_every_level_of_the_range_is_drawn() -> None:
    corrupt = Corruption("gaussian", "0.02-0.3")
    noise = Noise(torch.Generator().manual_seed(0), 500)
    x = torch.full((500, 1, 16, 16), 0.5)
    found = (corrupt(x, *corrupt.draw(noise, 1, 16, 16)) - x).flatten(1).std(1)
    assert 0.015 < float(found.min()) < 0.03
    assert 0.24 < float(found.max()) < 0.34
    assert float(found.mean()) == pytest.approx(0.16, abs=0.02)


@given(st.floats(1e-6, 1), st.floats(1e-6, 1))
def test_ranges_of_levels_are_read_as_they_are_written(one: float, other: float) -> None:
    low, high = sorted((float(f"{one:g}"), float(f"{other:g}")))
    allowed = allowed_by(Levels)
    assert allowed.check("level", f"{low:g}") == low
    if low < high:
        assert allowed.check("level", f"{low:g}-{high:g}") == f"{low:g}-{high:g}"


@pytest.mark.parametrize("level", ["0.3-0.02", "0.1-2", "0-0.3", "0.1-0.2-0.3", "much", "", "-0.1"])
def test_other_levels_are_refused(level: str) -> None:
    with pytest.raises(UsageError) as caught:
        Corruption("gaussian", level)
    assert str(caught.value) == (
        "corruption level: expected a number above 0 and up to 1, or two such as 0.02-0.3, got "
        f"{level}"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"latent_size": 8}, "dae with --arch unet has no latent: leave --latent out"),
        (
            {"patience": 3},
            "--patience needs training images that are held out, and crops of the same pictures "
            "are no others: leave it out",
        ),
        (
            {"hidden": (4,) * 8},
            "sizes of dae: a unet network has up to 6 levels, got 8 widths",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(
    photos: Path, tmp_path: Path, options: dict[str, object], text: str
) -> None:
    with pytest.raises(UsageError) as caught:
        aeonnx.train("dae", tmp_path / "run", arch="unet", data=photos, **options)
    assert str(caught.value) == text
    assert not (tmp_path / "run").exists()


def test_data_that_is_no_folder_of_pictures_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 200, 200), np.uint8))
    for data in ("mnist-sample", str(tmp_path / "x.npy")):
        with pytest.raises(DataError) as caught:
            aeonnx.train("dae", tmp_path / "run", arch="unet", data=data)
        assert str(caught.value) == (
            "this architecture trains on 128x128 crops of pictures of any size: expected a folder "
            f"of pictures with --data, got {data}"
        )


def test_pictures_smaller_than_a_crop_are_named(tmp_path: Path) -> None:
    for name, size in (("a", 300), ("b", 127), ("c", 128)):
        Image.new("RGB", (size, 300)).save(tmp_path / f"{name}.png")
    with pytest.raises(DataError) as caught:
        load_data(str(tmp_path), Path(), crop=128)
    assert str(caught.value) == (
        f"{tmp_path}: 1 of 3 images cannot be used: b.png: expected at least 128x128 pixels, the "
        "size of a crop, got 127x300. Replace them, or pass --skip-bad to go on without them"
    )
    data = load_data(str(tmp_path), Path(), crop=128, skip_bad=True)
    assert (data.train_images + data.test_images, len(data.skipped)) == (2, 1)
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="expected at least 2 images, one to train on and one to"):
        load_data(str(tmp_path), Path(), crop=128, skip_bad=True)


def test_one_picture_is_too_few(aeonnx: Callable[..., Result]) -> None:
    Path("photos").mkdir()
    Image.new("L", (200, 200), 9).save("photos/a.png")
    refused = aeonnx("train", "-m", "dae", "--arch", "unet", "--data", "photos", "-o", "run")
    assert (refused.exit_code, refused.stderr) == (
        1,
        "Error: photos: expected at least 2 images, one to train on and one to test on, got 1\n",
    )
    assert not Path("run").exists()


def test_grey_pictures_have_one_channel_and_mixed_ones_three(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Image.new("L", (200, 200), 9).save(tmp_path / f"{name}.png")
    assert load_data(str(tmp_path), Path(), crop=128).shape == (1, 128, 128)
    Image.new("RGB", (200, 200), (1, 2, 3)).save(tmp_path / "c.png")
    for stream in (False, True):
        data = load_data(str(tmp_path), Path(), crop=128, stream=stream)
        assert data.shape == (3, 128, 128)
        assert data.train.images.read(torch.arange(9)).shape == (9, 3, 128, 128)


def test_pictures_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Image.new("L", (200, 200), 9).save(tmp_path / f"{name}.png")
    Image.new("1", (200, 200)).save(tmp_path / "bits.png")
    Image.new("CMYK", (200, 200)).save(tmp_path / "cmyk.jpg")
    Image.new("F", (200, 200)).save(tmp_path / "hdr.tif")
    with pytest.raises(DataError) as caught:
        load_data(str(tmp_path), Path(), crop=128)
    assert str(caught.value) == (
        f"{tmp_path}: 2 of 5 images cannot be used: cmyk.jpg is in CMYK, whose colours depend on "
        "its profile: convert it to RGB first; hdr.tif has 32-bit floats: expected 8 or 16 "
        "bits per channel. Replace them, or pass --skip-bad to go on without them"
    )
    data = load_data(str(tmp_path), Path(), crop=128, skip_bad=True)
    assert (data.shape, data.train_images + data.test_images) == ((1, 128, 128), 3)


def test_colours_get_a_wider_first_level() -> None:
    """With those for grey, a network has hardly more channels than the blocks have numbers."""
    widths = {count: configure("dae", "unet", (count, 128, 128)).hidden for count in (1, 3)}
    assert widths[1] == (16, 32, 64, 128)
    assert widths[3][0] >= 2 * 12
    assert configure("dae", "unet", (3, 128, 128), hidden=(4, 8)).hidden == (4, 8)
    assert configure("dae", "conv", (3, 32, 32)).hidden == (32, 64)


def test_the_checkpoint_has_the_images_with_noise_too(run: Path, bundle: aeonnx.Bundle) -> None:
    """What reduced precision is judged on, and what golden vectors are made of."""
    examples = load(run, "dae").examples
    assert examples is not None
    assert examples.noisy_test is not None
    assert examples.noisy_train is not None
    for noisy, clean in (
        (examples.noisy_test, examples.test),
        (examples.noisy_train, examples.train),
    ):
        assert (
            (noisy.dtype, noisy.shape) == (clean.dtype, clean.shape) == (torch.uint8, noisy.shape)
        )
        error = ((noisy.float() - clean.float()) / 255).square().mean((1, 2, 3)).sqrt()
        assert 0.01 < error.min() < error.max() <= 0.31  # of the levels 0.02 to 0.3, clipped
        assert len(error.unique()) == len(error)
    golden = bundle.variant("denoiser").golden[0]
    given = bundle.read_golden(golden.inputs["x"])[0]
    np.testing.assert_allclose(given * 255, examples.noisy_test[0].numpy(), atol=1e-3)


def test_int8_is_judged_by_what_it_loses_on_noisy_images(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variants, "speedup", lambda *_: 2.0)
    options: dict[str, Any] = {"checkpoint": run, "precisions": ("int8",)}
    made = aeonnx.export("dae", tmp_path / "b", **options)
    usual = next(
        item
        for item in made.manifest.parts["denoiser"]["int8"].quality["denoised"]
        if item.metric == "psnr" and item.sizes == {"height": 128, "width": 128}
    )
    assert usual.fp32 is not None
    assert usual.fp32 - usual.least == pytest.approx(0.3)
    examples = load(run, "dae").examples
    assert examples is not None
    assert examples.noisy_test is not None
    opened = aeonnx.load(tmp_path / "b", ["cpu"])
    clean, noisy = (
        t.numpy().astype(np.float32) / 255 for t in (examples.test, examples.noisy_test)
    )
    with opened:
        rows = [psnr(opened.denoise(noisy[i : i + 1]), clean[i : i + 1]) for i in range(len(clean))]
    assert usual.fp32 == pytest.approx(np.mean(rows), abs=0.01)
    # A loss that a clean image would hide is one here, and a graph that is no faster is no gain.
    monkeypatch.setattr(quality, "_DENOISED_DROP", -1.0)
    with pytest.raises(QualityError, match="denoised loses .* dB of PSNR on 64 test inputs"):
        aeonnx.export("dae", tmp_path / "c", **options)
    monkeypatch.undo()
    monkeypatch.setattr(variants, "speedup", lambda *_: 1.0)
    with pytest.raises(QualityError, match="not worth it: .* bytes, .* and 1.00 times as fast"):
        aeonnx.export("dae", tmp_path / "d", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_noise_beyond_the_range_is_not_clipped(aeonnx: Callable[..., Result], photos: Path) -> None:
    options = (
        "--hidden",
        "4,8",
        "--batch-size",
        2,
        "--epochs",
        1,
        "--device",
        "cpu",
        "--workers",
        0,
    )
    run = (
        "train",
        "-m",
        "dae",
        "--arch",
        "unet",
        "--data",
        photos,
        "--corruption",
        "awgn",
        *options,
    )
    done = aeonnx(*run, "-o", "run")
    assert done.exit_code == 0, done.output
    examples = load(Path("run"), "dae").examples
    assert examples is not None
    assert examples.noisy_test is not None
    assert examples.noisy_test.dtype == torch.float32
    assert examples.noisy_test.min() < -0.2
    assert examples.noisy_test.max() > 1.2
    done = aeonnx("export", "-m", "dae", "--checkpoint", "run", "--precision", "fp16", "-o", "b")
    assert done.exit_code == 0, done.output
    opened = library.load("b", ["cpu"])
    x, denoised = (spec.range for spec in (*opened.inputs("denoiser"), *opened.outputs("denoiser")))
    assert (x, denoised) == (None, (0.0, 1.0))
    measured = {item.metric for item in opened.variant("denoiser", "fp16").quality["denoised"]}
    assert "psnr" in measured
    clean, _ = noisy_picture(photos)
    noisy = (clean + np.random.default_rng(0).normal(0, 0.3, clean.shape)).astype(np.float32)
    found = opened.denoise(noisy)
    with torch.no_grad():
        expected = load(Path("run"), "dae").model(torch.from_numpy(noisy)).clamp(0, 1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - opened.denoise(noisy.clip(0, 1))).max() > 0.01
    np.save("noisy.npy", noisy)
    assert aeonnx("denoise", "b", "noisy.npy", "-o", "out.npy").exit_code == 0
    np.testing.assert_array_equal(np.load("out.npy"), found)
    # The noise of pictures in files is clipped, which this model has never seen.
    done = aeonnx("denoise", "b", photos / "test" / "0-0.png", "-o", "out.png")
    assert done.exit_code == 1
    assert "has pixels of 0 to 255, and the model does not say which range" in done.stderr
    assert not Path("out.png").exists()
    # Pixels can come out, but none can stand for what goes in.
    pixels = aeonnx("export", "-m", "dae", "--checkpoint", "run", "--io", "uint8", "-o", "pixels")
    assert pixels.exit_code == 0, pixels.output
    variant = library.load("pixels", ["cpu"]).variant("denoiser", "fp32-uint8")
    assert (variant.inputs[0].dtype, variant.outputs[0].dtype) == ("float32", "uint8")
    told = aeonnx("train", "-m", "dae", "--arch", "conv", "--corruption", "awgn", "-o", "none")
    assert told.exit_code == 2
    assert told.stderr == (
        "Error: --corruption awgn makes values outside of [0, 1], which only --arch unet takes: "
        "add it, or choose gaussian, which is clipped\n"
    )
    assert not Path("none").exists()
