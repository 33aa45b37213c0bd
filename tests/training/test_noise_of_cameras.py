"""Noise as cameras and files have it: poisson-gaussian and JPEG, and pairs of noisy and clean."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from sklearn.datasets import load_sample_image

import aeonnx
from aeonnx.checkpoint import load
from aeonnx.errors import AeonnxError, DataError, UsageError
from aeonnx.training import load_data
from aeonnx.training.corruption import Corruption
from aeonnx.training.jpeg import compressed
from aeonnx.training.random import Noise

SMALL = {"arch": "unet", "hidden": (4, 8), "batch_size": 8, "device": "cpu", "lr": 3e-3}


def corrupted(kind: str, level: str | float, x: torch.Tensor) -> torch.Tensor:
    corrupt = Corruption(kind, level)
    noise = Noise(torch.Generator().manual_seed(0), len(x))
    return corrupt(x, *corrupt.draw(noise, *x.shape[1:]))


@pytest.mark.parametrize("value", [0.0, 0.25, 0.64])
def test_noise_of_a_camera_grows_with_the_root_of_the_light(value: float) -> None:
    x = torch.full((4, 1, 200, 200), value)
    found = corrupted("poisson-gaussian", 0.1, x)
    expected = 0.1 * np.sqrt(value + 0.2**2)
    if value:
        assert float(found.std()) == pytest.approx(expected, rel=0.02)
    else:  # half of it is cut off at 0
        assert float(found.square().mean().sqrt()) == pytest.approx(expected / 2**0.5, rel=0.02)


@pytest.mark.parametrize("quality", [5, 30, 75, 95])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_is_what_a_jpeg_file_loses(mode: str, quality: int) -> None:
    picture = Image.fromarray(load_sample_image("flower.jpg")).crop((100, 60, 357, 291))
    picture = picture.convert(mode)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    stored = np.asarray(Image.open(file), np.float32)
    pixels = np.asarray(picture, np.float32)
    x = torch.from_numpy(np.atleast_3d(pixels) / 255).permute(2, 0, 1)[None]
    ours = compressed(x, torch.tensor([float(quality)]))[0].permute(1, 2, 0).numpy() * 255
    lost = np.abs(stored - pixels).mean()
    assert np.abs(ours.reshape(stored.shape) - stored).mean() < (lost * 0.3 if mode == "L" else 1.1)
    assert np.abs(ours.reshape(stored.shape) - pixels).mean() == pytest.approx(lost, rel=0.15)


def test_jpeg_has_a_level_of_its_own_per_image() -> None:
    picture = np.array(Image.fromarray(load_sample_image("china.jpg")).crop((0, 0, 128, 128)))
    x = torch.from_numpy(picture / np.float32(255)).permute(2, 0, 1).expand(64, -1, -1, -1)
    errors = (corrupted("jpeg", "0.1-0.9", x) - x).square().mean((1, 2, 3)).sqrt()
    low, high = (float((corrupted("jpeg", at, x[:1]) - x[:1]).square().mean().sqrt())
                 for at in (0.1, 0.9))  # fmt: skip
    assert low < float(errors.min()) < float(errors.max()) < high
    assert float(errors.max()) > 2 * float(errors.min())


def test_the_lowest_quality_is_one() -> None:
    x = torch.rand(2, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    assert torch.equal(corrupted("jpeg", 1.0, x), compressed(x, torch.ones(2)))


def test_compression_is_the_same_under_autocast() -> None:
    x, quality = torch.rand(1, 3, 40, 40), torch.tensor([40.0])
    with torch.autocast("cpu", torch.bfloat16):
        found = compressed(x, quality)
    assert torch.equal(found, compressed(x, quality))


def test_features_are_not_compressed(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        aeonnx.train("sdae", tmp_path / "run", corruption="jpeg")
    assert str(caught.value) == (
        "unknown corruption 'jpeg'. Known: gaussian, masking, salt-pepper."
    )


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Callable[..., Result]:
    """The fixture `aeonnx`, whose name is that of the package here."""
    command: Callable[..., Result] = request.getfixturevalue("aeonnx")
    return command


@pytest.fixture(scope="module")
def pairs(
    brief: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """noisy/ and clean/ with five pictures of several sizes: the noise is stripes."""
    folder = tmp_path_factory.mktemp("pairs")
    for part in ("noisy", "clean"):
        (folder / part).mkdir()
    photo = load_sample_image("flower.jpg")
    sizes = [(200, 300), (131, 290), (200, 128), (150, 301), (140, 200)]
    for place, (height, width) in enumerate(sizes):
        piece = photo[40 * place : 40 * place + height, 60 * place : 60 * place + width].copy()
        Image.fromarray(piece).save(folder / "clean" / f"{place}.png")
        piece[::4] = (piece[::4].astype(int) + 70).clip(0, 255)
        Image.fromarray(piece).save(folder / "noisy" / f"{place}.{'bmp' if place else 'png'}")
    return folder


def test_pairs_teach_noise_that_no_corruption_has(
    run: Callable[..., Result], pairs: Path, tmp_path: Path
) -> None:
    told = run(
        "train", "-m", "dae", "--arch", "unet", "--hidden", "4", "--epochs", "4", "--lr", "6e-3",
         "--batch-size", "2", "--device", "cpu", "--workers", "0", "--pairs", f"{pairs / 'noisy'}",
         f"{pairs / 'clean'}", "-o", f"{tmp_path / 'run'}",
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    record = load(tmp_path / "run", "dae").training
    assert record is not None
    assert record.stages[0].corruption == "pairs"
    assert (record.train_images, record.test_images) == (4, 1)
    assert record.metrics["psnr"] > record.metrics["psnr_corrupted"] + 3
    aeonnx.export("dae", tmp_path / "dist", checkpoint=tmp_path / "run")
    bundle = aeonnx.load(tmp_path / "dist", ["cpu"])
    noisy, clean = (
        np.asarray(Image.open(pairs / name), np.float32).transpose(2, 0, 1)[None] / 255
        for name in ("noisy/2.bmp", "clean/2.png")
    )
    before, after = (float(np.square(x - clean).mean()) for x in (noisy, bundle.denoise(noisy)))
    assert after < before / 2


@pytest.mark.slow  # what resuming keeps is tested of other models too
def test_runs_with_pairs_resume_to_the_bit_in_memory_and_streamed(
    pairs: Path, tmp_path: Path
) -> None:
    options = {"pairs": (pairs / "noisy", pairs / "clean"), "schedule": "constant", **SMALL}
    aeonnx.train("dae", tmp_path / "one", epochs=2, **options)
    aeonnx.train("dae", tmp_path / "two", epochs=1, stream=True, **options)
    aeonnx.train("dae", tmp_path / "two", epochs=2, resume=True)
    one, two = (load(tmp_path / name, "dae") for name in ("one", "two"))
    assert one.checkpoint_id == two.checkpoint_id


def test_a_grey_version_of_a_coloured_picture_is_a_pair(pairs: Path, tmp_path: Path) -> None:
    for part in ("noisy", "clean"):
        (tmp_path / part).mkdir()
        for place in range(2):
            picture = Image.open(next((pairs / part).glob(f"{place}.*")))
            grey = part == "noisy" or place
            picture.convert("L" if grey else "RGB").save(tmp_path / part / f"{place}.png")
    data = load_data(str(tmp_path / "clean"), Path(), crop=128, noisy=tmp_path / "noisy")
    assert data.shape == (3, 128, 128)
    assert data.train.images.read(torch.arange(3)).shape == (3, 6, 128, 128)


def refused(*arguments: object, **options: object) -> str:
    with pytest.raises(AeonnxError) as caught:
        aeonnx.train(*arguments, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_pairs_that_are_none_are_refused(pairs: Path, tmp_path: Path) -> None:
    noisy, clean = pairs / "noisy", pairs / "clean"
    run = tmp_path / "run"
    options = {"arch": "unet", "pairs": (noisy, clean)}
    assert refused("dae", run, data="x", **options) == (
        "--pairs names the data already: leave out --data"
    )
    assert refused("dae", run, corruption="jpeg", **options) == (
        "--pairs has noisy pictures already: leave out --corruption and --corruption-level"
    )
    assert refused("dae", run, corruption_level=0.1, **options) == (
        "--pairs has noisy pictures already: leave out --corruption and --corruption-level"
    )
    assert refused("vae", run, pairs=(noisy, clean)) == (
        "vae takes no --pairs, since it does not denoise: train a dae"
    )
    assert refused("dae", run, pairs=(noisy, clean)) == (
        "--pairs is for networks that take pictures of any size: give -m dae --arch unet"
    )
    assert refused("dae", run, arch="unet", corruption="pairs") == (
        "--corruption pairs comes with --pairs NOISY CLEAN: give the two folders instead"
    )
    assert refused("dae", run, arch="unet", pairs=(noisy,)) == (
        f"pairs: expected two folders, (noisy, clean), got {(noisy,)!r}"
    )
    assert refused("dae", run, arch="unet", pairs=(tmp_path / "x", clean)) == (
        f"{tmp_path / 'x'} does not exist: expected the noisy versions of {clean} in it"
    )
    picture = next(noisy.iterdir())
    assert refused("dae", run, arch="unet", pairs=(picture, clean)) == (
        f"{picture} is no folder: expected the noisy versions of {clean} in it"
    )
    for name in (tmp_path / "x", "nope"):
        assert refused("dae", run, arch="unet", pairs=(noisy, name)) == (
            f"{name} does not exist: expected the clean versions of {noisy} in it"
        )
    assert not run.exists()


def test_pictures_without_partner_are_named(pairs: Path, tmp_path: Path) -> None:
    noisy, clean = tmp_path / "noisy", tmp_path / "clean"
    for part in (noisy, clean):
        part.mkdir()
        for path in (pairs / part.name).iterdir():
            (part / path.name).write_bytes(path.read_bytes())
    (noisy / "2.bmp").unlink()

    def loading() -> str:
        with pytest.raises(DataError) as caught:
            load_data(str(clean), Path(), crop=128, noisy=noisy)
        return str(caught.value)

    assert loading() == (
        f"{clean}: 2 without a partner of the same name in {noisy}: expected every picture in both "
        "folders of --pairs: add the partners, or move these away"
    )
    (clean / "2.png").unlink()
    (clean / "3.png").unlink()
    assert loading() == (
        f"{noisy}: 3 without a partner of the same name in {clean}: expected every picture in both "
        "folders of --pairs: add the partners, or move these away"
    )
    (noisy / "3.bmp").unlink()
    (noisy / "0.jpg").write_bytes(b"")
    assert loading() == (f"{noisy}: expected one picture named 0, got 0.jpg and 0.png: remove one")
    (noisy / "0.jpg").unlink()
    Image.new("RGB", (300, 201)).save(noisy / "0.png")
    assert loading() == (
        f"{clean}: 1 of 3 images cannot be used: {noisy}/0.png: expected 300x200 pixels, the size "
        "of its clean version 0.png, got 300x201. Replace them, or pass --skip-bad to go on "
        "without them"
    )
