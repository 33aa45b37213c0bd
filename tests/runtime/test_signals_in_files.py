"""Signals from files to files, in pieces that give the whole."""

from __future__ import annotations

import tracemalloc
import wave
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import aeonnx as library
from aeonnx.bundle import Axis, TensorSpec
from aeonnx.cli import cli
from aeonnx.errors import ImageError
from aeonnx.exporting import ExportOptions, export
from aeonnx.io.wav import WavWriter, open_wav
from aeonnx.models import Part
from aeonnx.runtime.file_ops import run_on_files

Cli = Callable[..., Result]
RATE = 16000


class Global(nn.Module):
    """A denoiser that looks at the whole signal."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv1d(2, 8, 5, padding=2), nn.GroupNorm(1, 8), nn.GELU())
        self.last = nn.Conv1d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + 0.1 * self.last(self.body(x))
        return made

    def parts(self) -> dict[str, Part]:
        x, y = (
            TensorSpec(name, ("batch", 2, "time"), range=bounds, kind="signal")
            for name, bounds in (("x", (-1.0, 1.0)), ("y", None))
        )
        return {"denoiser": Part(self, (x,), (y,), axes={"time": Axis(4, 32)})}


def looks_at_all() -> nn.Module:
    return Global()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A codec with margins, encoder and decoder of 16 samples per frame, and `Global`."""
    folder = tmp_path_factory.mktemp("signals")
    factories = {
        "codec": "module:clients.proof.external:signal",
        "whole": f"module:{__name__}:looks_at_all",
    }
    for name, factory in factories.items():
        export(ExportOptions(name, folder / name, from_source=factory))
    return {name: folder / name for name in factories}


def sound(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.9, 0.9, shape).astype(np.float32)


def save_wav(path: Path, values: np.ndarray, bits: int = 16, rate: int = RATE) -> np.ndarray:
    """Write a .wav with the standard library; returns the values that it holds."""
    scale = 2 ** (bits - 1)
    numbers = np.clip(np.rint(values * scale), -scale, scale - 1).astype(np.int64)
    shifted = numbers + 128 if bits == 8 else numbers
    data = b"".join(
        int(n).to_bytes(bits // 8, "little", signed=bits != 8) for n in shifted.T.ravel()
    )
    with wave.open(str(path), "wb") as file:
        file.setparams((len(values), bits // 8, rate, 0, "NONE", ""))
        file.writeframes(data)
    return np.asarray(numbers / scale, np.float32)


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_are_read_and_written_to_the_bit(tmp_path: Path, bits: int, channels: int) -> None:
    values = save_wav(tmp_path / "x.wav", sound(channels, 999), bits)
    file = open_wav(tmp_path / "x.wav")
    assert (file.channels, file.length, file.rate, file.bits) == (channels, 999, RATE, bits)
    np.testing.assert_array_equal(file.read(0, 999), values)
    np.testing.assert_array_equal(file.read(100, 300), values[:, 100:300])
    with (tmp_path / "y.wav").open("wb") as stream:
        writer = WavWriter(stream, channels, 999, RATE, bits)
        assert writer.write(values[:, :500]) + writer.write(values[:, 500:]) == 0
        writer.close()
    written = open_wav(tmp_path / "y.wav").read(0, 999)
    np.testing.assert_allclose(written, values, rtol=0, atol=2**-23)
    if bits < 32:
        assert (tmp_path / "y.wav").read_bytes() == (tmp_path / "x.wav").read_bytes()


def test_samples_beyond_one_are_clipped_and_counted(tmp_path: Path) -> None:
    with (tmp_path / "y.wav").open("wb") as stream:
        writer = WavWriter(stream, 1, 4, RATE, 16)
        assert writer.write(np.array([[1.5, -1.0, 1.0, -2.0]])) == 2
        writer.close()
    top = 1 - 2**-15
    np.testing.assert_array_equal(open_wav(tmp_path / "y.wav").read(0, 4), [[top, -1, top, -1]])


@given(length=st.integers(16, 900), tile=st.integers(8, 40))
@settings(max_examples=20)
def test_pieces_are_the_whole(
    made: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, length: int, tile: int
) -> None:
    folder = tmp_path_factory.mktemp("pieces")
    x = sound(2, 1, length)
    np.save(folder / "x.npy", x)
    whole = library.load(made["codec"], ["cpu"])
    with library.load(made["codec"], ["cpu"], tile=tile) as bundle:
        run_on_files(bundle, "encode", [folder / "x.npy"], folder / "z.npy")
        run_on_files(bundle, "decode", [folder / "z.npy"], folder / "y.npy")
        run_on_files(bundle, "reconstruct", [folder / "x.npy"], folder / "r.npy")
    z = whole.encode(x)
    np.testing.assert_allclose(np.load(folder / "z.npy"), z, rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.load(folder / "y.npy"), whole.decode(z), rtol=0, atol=1e-5)
    expected = whole.reconstruct(x)
    assert expected.shape == x.shape
    np.testing.assert_allclose(np.load(folder / "r.npy"), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(200,), (1, 200), (3, 200), (3, 1, 200)])
def test_arrays_of_one_channel(
    made: dict[str, Path], tmp_path: Path, shape: tuple[int, ...], order: str
) -> None:
    x = sound(*shape)
    np.save(tmp_path / "x.npy", np.array(x, order=order))  # type: ignore[call-overload]
    bundle = library.load(made["codec"], ["cpu"])
    run_on_files(bundle, "encode", [tmp_path / "x.npy"], tmp_path / "z.npy")
    expected = bundle.encode(x.reshape(-1, 1, 200))
    np.testing.assert_allclose(np.load(tmp_path / "z.npy"), expected, rtol=0, atol=1e-6)


def test_wav_to_wav_and_back(aeonnx: Cli, made: dict[str, Path], tmp_path: Path) -> None:
    values = save_wav(tmp_path / "x.wav", sound(1, 1001), 24)
    done = aeonnx("reconstruct", made["codec"], "x.wav", "-o", "y.wav")
    assert done.exit_code == 0, done.stderr
    assert "y.wav: float32 [1, 1, 1001] on CPU" in done.stdout
    found = open_wav(tmp_path / "y.wav")
    assert (found.channels, found.length, found.rate, found.bits) == (1, 1001, RATE, 24)
    expected = library.load(made["codec"]).reconstruct(values[None])[0]
    np.testing.assert_allclose(found.read(0, 1001), np.clip(expected, -1, 1), atol=1e-5)
    done = aeonnx("encode", made["codec"], "x.wav", "-o", "z.npy")
    assert done.exit_code == 0, done.stderr
    assert np.load(tmp_path / "z.npy").shape == (1, 4, 63)
    done = aeonnx("decode", made["codec"], "z.npy", "-o", "d.wav")
    assert done.exit_code == 0, done.stderr
    assert (open_wav(tmp_path / "d.wav").length, open_wav(tmp_path / "d.wav").bits) == (1008, 16)


def test_several_files_into_a_folder(aeonnx: Cli, made: dict[str, Path], tmp_path: Path) -> None:
    save_wav(tmp_path / "a.wav", sound(1, 100))
    np.save(tmp_path / "b.npy", sound(2, 1, 64))
    done = aeonnx("reconstruct", made["codec"], "a.wav", "b.npy", "-o", "out", "--json")
    assert done.exit_code == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "b.npy"]
    assert open_wav(tmp_path / "out" / "a.wav").length == 100
    assert np.load(tmp_path / "out" / "b.npy").shape == (2, 1, 64)


def test_a_folder_and_stdin(aeonnx: Cli, made: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, length in (("b", 100), ("a", 64)):
        save_wav(tmp_path / "in" / f"{name}.wav", sound(1, length))
    (tmp_path / "in" / "notes.txt").write_text("")
    done = aeonnx("reconstruct", made["codec"], "in", "-o", "out/")
    assert done.stdout == "out/: float32 [2, 1, any] on CPUExecutionProvider\n"
    assert done.stderr == "in: left out 1 not named *.wav\n"
    assert open_wav(tmp_path / "out" / "a.wav").length == 64
    data = (tmp_path / "in" / "b.wav").read_bytes()
    command = ["reconstruct", str(made["codec"]), "-", "-o", "y.wav"]
    done = CliRunner().invoke(cli, command, input=data)
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "y.wav").read_bytes() == (tmp_path / "out" / "b.wav").read_bytes()
    done = CliRunner().invoke(cli, [*command, "--force"], input=b"RIFF junk")
    assert (done.exit_code, done.stderr.startswith("Error: stdin is not a readable")) == (1, True)
    (tmp_path / "none").mkdir()
    done = aeonnx("reconstruct", made["codec"], "none", "-o", "no/")
    assert done.stderr == "Error: none holds no signal: expected files named *.wav\n"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "x.wav is empty: expected a .wav file, or a .npy or .npz array of x, of the kind si"),
        (b"ID3 no wav", "x.wav is neither a .wav file nor an array: expected a .wav file, or a"),
        (b"RIFF\0\0\0\0junk", "x.wav is not a readable .wav file: "),
    ],
)
def test_files_that_are_no_signals_are_named(
    aeonnx: Cli, made: dict[str, Path], tmp_path: Path, data: bytes, text: str
) -> None:
    (tmp_path / "x.wav").write_bytes(data)
    done = aeonnx("encode", made["codec"], "x.wav", "-o", "z.npy")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: {text}")


def test_memory_does_not_grow_with_length(made: dict[str, Path], tmp_path: Path) -> None:
    peaks = []
    with library.load(made["codec"], ["cpu"], tile=1024) as bundle:
        for length in (2**18, 2**21):
            path = tmp_path / f"{length}.npy"
            np.save(path, sound(1, 1, length))
            tracemalloc.start()
            run_on_files(bundle, "reconstruct", [path], tmp_path / "y.npy", force=True)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert np.load(tmp_path / "y.npy", mmap_mode="r").shape == (1, 1, length)
    assert peaks[1] < 1.3 * peaks[0]
    assert peaks[1] < 2**20  # the whole has 8 MiB


def test_a_part_without_margins_is_blended_in_pieces(
    aeonnx: Cli, made: dict[str, Path], tmp_path: Path
) -> None:
    values = save_wav(tmp_path / "x.wav", sound(2, 1003))
    bundle = library.load(made["whole"], ["cpu"])
    assert bundle.variant("denoiser").axes["time"].margin is None
    for arguments, options in ((("--tile", "128"), {"tile": 128}), ((), {})):
        done = aeonnx("denoise", made["whole"], "x.wav", "-o", "y.npy", "--force", *arguments)
        assert done.exit_code == 0, done.stderr
        assert ("Not exact: denoiser looks further" in done.stderr) == bool(options)
        with library.load(made["whole"], ["cpu"], **options) as other:  # type: ignore[arg-type]
            expected = other.denoise(values[None])
        np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=0, atol=1e-6)
    done = aeonnx("denoise", made["whole"], "x.wav", "-o", "y.wav")
    assert done.exit_code == 0, done.stderr
    assert open_wav(tmp_path / "y.wav").rate == RATE  # of the source: the part names none


def write(path: Path, values: np.ndarray, **options: int) -> None:
    if path.suffix == ".wav":
        save_wav(path, values, **options)
    else:
        np.save(path, values)


@pytest.mark.parametrize(
    ("name", "values", "options", "text"),
    [
        (
            "x.wav",
            sound(1, 100),
            {"rate": 8000},
            "x.wav: expected 16000 Hz, as x has, got 8000 Hz: resample it first, such as with: "
            "ffmpeg -i x.wav -ar 16000 resampled.wav",
        ),
        (
            "a b.wav",
            sound(2, 100),
            {},
            "a b.wav: expected 1 channel, as x has, got 2 channels: mix them first, such as with: "
            "ffmpeg -i 'a b.wav' -ac 1 mixed.wav",
        ),
        (
            "x.npy",
            sound(5, 2, 100),
            {},
            "x.npy: expected [n, 1, 16*frames] or [n, 16*frames], or one without n, got [5, 2, 100",
        ),
        (
            "x.npy",
            sound(1, 1, 15),
            {},
            "encoder: x: expected a signal of at least one frame, 16 samples, got 15: give a "
            "longer one, or append silence",
        ),
        ("x.npy", sound(1, 1, 0), {}, "x.npy holds no values: give at least one"),
        ("x.npy", sound(1, 1, 64) * 3, {}, "encoder: x: expected float32 [batch, 1, 16*frames] in"),
        ("x.npy", np.zeros((1, 1, 64), "i2"), {}, "encoder: x: expected float32 [batch, 1, 16*fra"),
        ("x.txt", sound(1, 4), {}, "x.txt is neither a .wav file nor an array: expected a .wav"),
    ],
)
def test_signals_that_do_not_fit_are_refused(
    aeonnx: Cli,
    made: dict[str, Path],
    tmp_path: Path,
    name: str,
    values: np.ndarray,
    options: dict[str, int],
    text: str,
) -> None:
    if name.endswith(".txt"):
        (tmp_path / name).write_text("no signal")
    else:
        write(tmp_path / name, values, **options)
    done = aeonnx("encode", made["codec"], name, "-o", "z.npy")
    assert done.exit_code == 1
    assert f"Error: {text}" in done.stderr
    assert not (tmp_path / "z.npy").exists()


@pytest.mark.parametrize(
    ("verb", "target", "text"),
    [
        (
            "encode",
            "z.wav",
            "z.wav: z, of the kind latent, is written to a name that ends in .npy or .npz",
        ),
        ("reconstruct", "y.png", "y.png: a signal is written to a name that ends in .npy or .wav"),
        ("reconstruct", "-", "-o -: signals are written to files: give a name, such as -o x.npy"),
        ("reconstruct", "y.wav", "y.wav: a .wav file holds one signal, not [2, 1, 64]: expected a"),
    ],
)
def test_targets_that_do_not_fit_are_refused(
    aeonnx: Cli, made: dict[str, Path], tmp_path: Path, verb: str, target: str, text: str
) -> None:
    np.save(tmp_path / "x.npy", sound(2, 1, 64))
    done = aeonnx(verb, made["codec"], "x.npy", "-o", target)
    assert done.exit_code == 2
    assert f"Error: {text}" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_options_of_pictures_are_refused(
    aeonnx: Cli, made: dict[str, Path], tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", sound(1, 1, 64))
    what = "reconstruct of this bundle runs on signals, and not on pictures: leave"
    for flags, text in (
        (["--pixels"], f"--pixels: {what} it out"),
        (["--skip-bad", "--resize", "fit"], f"--resize, --skip-bad: {what} them out"),
    ):
        done = aeonnx("reconstruct", made["codec"], "x.npy", "-o", "y.npy", *flags)
        assert (done.exit_code, f"Error: {text}\n" in done.stderr) == (2, True)


def test_a_folder_that_is_not_empty_needs_force(
    aeonnx: Cli, made: dict[str, Path], tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", sound(1, 1, 64))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept.txt").write_text("mine")
    refused = aeonnx("reconstruct", made["codec"], "x.npy", "-o", "out")
    assert refused.exit_code == 1
    done = aeonnx("reconstruct", made["codec"], "x.npy", "-o", "out", "--force")
    assert done.exit_code == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["kept.txt", "x.npy"]


def test_damaged_wavs_are_refused_in_words(tmp_path: Path) -> None:
    save_wav(tmp_path / "x.wav", sound(1, 100))
    whole = (tmp_path / "x.wav").read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "y.wav"
    for number in range(400):
        data = bytearray(whole)
        if number % 2:
            data = data[: rng.integers(0, len(data))]
        else:
            data[rng.integers(0, 44)] = rng.integers(0, 256)
        path.write_bytes(data)
        with suppress(ImageError):
            file = open_wav(path)
            assert file.read(0, file.length).shape == (file.channels, file.length)
    path.write_bytes(whole[:20] + b"\x03\x00" + whole[22:])  # floats
    text = r"its samples are no whole numbers \(PCM\): convert it first, such as with: ffmpeg -i "
    with pytest.raises(ImageError, match=text):
        open_wav(path)


def test_an_interrupted_result_leaves_nothing(made: dict[str, Path], tmp_path: Path) -> None:
    values = sound(1, 1, 4096)
    values[..., 4000] = np.nan  # found in the last pieces
    np.save(tmp_path / "x.npy", values)
    for target in ("y.wav", "y.npy"):
        with (
            library.load(made["codec"], ["cpu"], tile=64) as bundle,
            pytest.raises(library.errors.InputError, match="got NaN"),
        ):
            run_on_files(bundle, "reconstruct", [tmp_path / "x.npy"], tmp_path / target)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]
