"""An encoder whose decoder takes several of its outputs: nothing is lost in Python or in files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from torch import Tensor, nn

import aeonnx as library
from aeonnx.bundle import Axis, TensorSpec
from aeonnx.errors import InputError
from aeonnx.exporting import ExportOptions, export
from aeonnx.models import Part

Cli = Callable[..., Result]


class Encode(nn.Module):
    """Vectors to two latents, of which the decoder takes both."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.low, self.high = nn.Linear(6, 4), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.low(x), self.high(x), x.abs()


class Decode(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Linear(6, 6)

    def forward(self, z: Tensor, top: Tensor, gain: Tensor) -> Tensor:
        made: Tensor = gain * self.body(torch.cat([z, top], 1))
        return made


class Loud(nn.Module):
    """Signals to the means of 4 samples, and to their loudness."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        loudness = x.square().mean((1, 2)).add(1e-4).sqrt()[:, None]
        return nn.functional.avg_pool1d(x / loudness[..., None], 4), loudness


class Quiet(nn.Module):
    def forward(self, z: Tensor, loudness: Tensor) -> Tensor:
        return torch.repeat_interleave(z, 4, 2) * loudness[..., None]


class Model(nn.Module):
    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


class Vectors(Model):
    def parts(self) -> dict[str, Part]:
        x, y = (TensorSpec(name, ("batch", 6), kind="vector") for name in ("x", "y"))
        z, top = (
            TensorSpec(name, ("batch", size), kind="latent")
            for name, size in (("z", 4), ("top", 2))
        )
        size = TensorSpec("size", ("batch", 6))
        gain = TensorSpec("gain", ("batch", 1), range=(0.0, 4.0))
        return {
            "encoder": Part(self.encoder, (x,), (z, top, size)),
            "decoder": Part(self.decoder, (z, top, gain), (y,)),
        }


class Signals(Model):
    def parts(self) -> dict[str, Part]:
        x = TensorSpec("x", ("batch", 1, "time"), range=(-1.0, 1.0), kind="signal")
        y = TensorSpec("y", ("batch", 1, "time"), kind="signal")
        z = TensorSpec("z", ("batch", 1, "time/4"), kind="latent")
        loudness = TensorSpec("loudness", ("batch", 1), range=(0.0, 1.5))
        axes = {"time": Axis(4, 16)}
        return {
            "encoder": Part(self.encoder, (x,), (z, loudness), axes=axes),
            "decoder": Part(self.decoder, (z, loudness), (y,), axes=axes),
        }


def vectors() -> nn.Module:
    return Vectors(Encode(), Decode())


def signals() -> nn.Module:
    return Signals(Loud(), Quiet())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("composed")

    def make(name: str) -> Path:
        if not (folder / name).exists():
            export(ExportOptions(name, folder / name, from_source=f"module:{__name__}:{name}"))
        return folder / name

    return make


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.9, 0.9, shape).astype(np.float32)


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.stderr
    return result


def test_the_decoder_takes_every_output_that_it_knows(made: Callable[[str], Path]) -> None:
    bundle, x = library.load(made("vectors"), ["cpu"]), noise(5, 6)
    found = bundle.encode_all(x)
    assert sorted(found) == ["size", "top", "z"]
    np.testing.assert_array_equal(found["z"], bundle.encode(x))
    expected = bundle.decode(found["z"], top=found["top"], gain=2)
    np.testing.assert_array_equal(bundle.reconstruct(x, gain=2), expected)
    with torch.no_grad():
        low, high, _ = Encode()(torch.from_numpy(x))
        eager = Decode()(low, high, torch.full((5, 1), 2.0)).numpy()
    np.testing.assert_allclose(expected, eager, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"gain": 1, "top": 1},
            "reconstruct: top: expected none, the decoder takes that of the encoder: leave it out; "
            "to give another one, encode and decode separately",
        ),
        (
            {"gain": 1, "gian": 1},
            "reconstruct: gian: expected no input of that name: leave it out. Known: gain",
        ),
        (
            {},
            "decoder: expected inputs ['gain', 'top', 'z'], got ['top', 'z']: give gain too, with "
            "--input gain=NUMBER or --input gain=FILE, in Python with the keyword gain",
        ),
    ],
)
def test_conditions_are_what_the_encoder_does_not_make(
    aeonnx: Cli, made: Callable[[str], Path], given: dict[str, int], text: str
) -> None:
    with pytest.raises(InputError) as caught:
        library.load(made("vectors"), ["cpu"]).reconstruct(noise(5, 6), **given)
    assert str(caught.value) == text
    np.save("x.npy", noise(5, 6))
    options = [word for name in given for word in ("--input", f"{name}={given[name]}")]
    result = aeonnx("reconstruct", made("vectors"), "x.npy", "-o", "y.npy", *options)
    assert (result.exit_code, result.stderr) == (1, f"Error: {text}\n")
    assert not Path("y.npy").exists()


def test_an_unknown_input_is_named_beside_the_missing_one(
    aeonnx: Cli, made: Callable[[str], Path]
) -> None:
    np.savez("z.npz", z=noise(5, 4), top=noise(5, 2))
    result = aeonnx("decode", made("vectors"), "z.npz", "-o", "y.npy", "--input", "gian=2")
    assert result.stderr == (
        "Error: decoder: expected inputs ['gain', 'top', 'z'], got ['gian', 'top', 'z']: leave out "
        "gian, which it does not have, and give gain too, with --input gain=NUMBER or --input "
        "gain=FILE, in Python with the keyword gain\n"
    )


def test_files_keep_what_the_decoder_takes(aeonnx: Cli, made: Callable[[str], Path]) -> None:
    bundle, x = library.load(made("vectors"), ["cpu"]), noise(5, 6)
    np.save("x.npy", x)
    assert done(aeonnx("encode", made("vectors"), "x.npy", "-o", "z.npz")).stderr == ""
    found = bundle.encode_all(x)
    with np.load("z.npz") as archive:
        assert sorted(archive) == ["features", "names", "top"]  # not size, which nothing takes
        np.testing.assert_array_equal(archive["features"], found["z"])
        np.testing.assert_array_equal(archive["top"], found["top"])
    options = ("--input", "gain=2")
    done(aeonnx("decode", made("vectors"), "z.npz", "-o", "y.npy", *options))
    done(aeonnx("reconstruct", made("vectors"), "x.npy", "-o", "r.npy", *options))
    np.testing.assert_array_equal(np.load("y.npy"), bundle.reconstruct(x, gain=2))
    np.testing.assert_array_equal(np.load("r.npy"), np.load("y.npy"))
    done(aeonnx("encode", made("vectors"), "x.npy", "-o", "rows/"))
    assert sorted(path.name for path in Path("rows").iterdir()) == [f"{n}.npz" for n in range(5)]
    done(aeonnx("decode", made("vectors"), "rows/3.npz", "-o", "one.npy", *options))
    np.testing.assert_allclose(np.load("one.npy"), np.load("y.npy")[3:4], rtol=0, atol=1e-6)
    gains = np.linspace(0, 4, 5, dtype=np.float32)[:, None]
    np.savez("own.npz", z=found["z"], top=found["top"], gain=gains)
    done(aeonnx("decode", made("vectors"), "own.npz", "-o", "own.npy"))
    np.testing.assert_array_equal(np.load("own.npy"), bundle.reconstruct(x, gain=gains))


def test_what_a_npy_leaves_out_is_told_and_missed(aeonnx: Cli, made: Callable[[str], Path]) -> None:
    np.save("x.npy", noise(5, 6))
    result = done(aeonnx("encode", made("vectors"), "x.npy", "-o", "z.npy"))
    assert result.stderr == (
        "z.npy has z alone: the decoder takes top too, which a name that ends in .npz keeps\n"
    )
    result = aeonnx("decode", made("vectors"), "z.npy", "-o", "y.npy", "--input", "gain=1")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: z.npy: expected a .npz with top too, which the decoder takes: write one with "
        "aeonnx encode -o NAME.npz\n",
    )
    np.savez("z.npz", z=noise(5, 4), top=noise(4, 2))
    result = aeonnx("decode", made("vectors"), "z.npz", "-o", "y.npy", "--input", "gain=1")
    assert "z.npz, array top: expected 5 rows, as many as of z, got 4" in result.stderr
    np.savez("z.npz", z=noise(5, 4), top=noise(5, 2))
    result = aeonnx("decode", made("vectors"), "z.npz", "-o", "y.npy", "--input", "top=1")
    assert "--input top: expected none, z.npz has an array of that name" in result.stderr


def test_signals_keep_what_the_decoder_takes(aeonnx: Cli, made: Callable[[str], Path]) -> None:
    bundle, x = library.load(made("signals"), ["cpu"]), noise(2, 1, 203)
    np.save("x.npy", x)
    done(aeonnx("reconstruct", made("signals"), "x.npy", "-o", "r.npy"))
    expected = bundle.reconstruct(x)
    np.testing.assert_allclose(np.load("r.npy"), expected, rtol=0, atol=1e-6)
    done(aeonnx("encode", made("signals"), "x.npy", "-o", "z.npz"))
    with np.load("z.npz") as archive:
        assert {name: archive[name].shape for name in archive} == {
            "features": (2, 1, 51),
            "loudness": (2, 1),
        }
    done(aeonnx("decode", made("signals"), "z.npz", "-o", "y.npy"))
    done(aeonnx("encode", made("signals"), "x.npy", "-o", "zs"))
    done(aeonnx("decode", made("signals"), "zs", "-o", "ys"))
    np.testing.assert_array_equal(np.load("ys/x.npy"), np.load("y.npy"))
    np.testing.assert_allclose(np.load("y.npy")[..., :203], expected, rtol=0, atol=1e-6)
    result = done(aeonnx("encode", made("signals"), "x.npy", "-o", "z.npy"))
    assert "z.npy has z alone: the decoder takes loudness too, which a name" in result.stderr
    result = aeonnx("decode", made("signals"), "z.npy", "-o", "d.npy")
    assert result.stderr == (
        "Error: z.npy: expected a .npz with loudness too, which the decoder takes: write one with "
        "aeonnx encode -o NAME.npz, or give --input loudness=NUMBER\n"
    )
    result = aeonnx("decode", made("signals"), "z.npy", "-o", "d.npy", "--input", "loudness=x.npy")
    assert result.stderr == (
        "Error: --input loudness=x.npy: expected a number, decode of signals takes no files for "
        "its further inputs: give --input loudness=NUMBER\n"
    )
    done(aeonnx("decode", made("signals"), "z.npy", "-o", "d.npy", "--input", "loudness=0.5"))
    np.testing.assert_array_equal(
        np.load("d.npy"), bundle.decode(np.load("z.npy"), loudness=np.full((2, 1), 0.5, "f4"))
    )
    done(aeonnx("encode", made("signals"), "x.npy", "x.npy", "-o", "out/"))
    assert sorted(path.name for path in Path("out").iterdir()) == ["x-2.npz", "x.npz"]
    refused = aeonnx(
        "reconstruct", made("signals"), "x.npy", "-o", "n.npy", "--input", "loudness=1"
    )
    assert "reconstruct: loudness: expected none" in refused.stderr
