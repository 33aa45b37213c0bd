from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

import aeonnx
from aeonnx import checkpoint
from aeonnx.bundle import GoldenTensor
from aeonnx.errors import (
    BundleError,
    InputError,
    IntegrityError,
    ManifestError,
)
from tests.support import graph_file

Maker = Callable[..., Path]


@pytest.fixture
def vae(bundle_of: Maker) -> aeonnx.Bundle:
    return aeonnx.load(bundle_of())


def digits(n: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 1, 28, 28), dtype=np.uint8)


def test_verbs_are_torchs(vae: aeonnx.Bundle, run_of: Maker) -> None:
    model = checkpoint.load(run_of(), "vae").model
    x = digits().astype(np.float32) / np.float32(255)
    with torch.no_grad():
        mu, logvar = model.encoder(torch.from_numpy(x))
        reconstruction = model.decoder(mu)
    encoded = vae.run("encoder", x=x)
    assert list(encoded) == ["mu", "logvar"]
    np.testing.assert_allclose(encoded["logvar"], logvar, atol=1e-5)
    np.testing.assert_allclose(vae.encode(x), mu, atol=1e-5)
    np.testing.assert_allclose(vae.decode(mu.numpy()), reconstruction, atol=1e-6)
    np.testing.assert_allclose(vae.reconstruct(x), reconstruction, atol=1e-6)


def test_pixels_do_as_well_as_floats(vae: aeonnx.Bundle) -> None:
    x = digits()
    floats = x.astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(vae.encode(x), vae.encode(floats))


def test_non_contiguous_arrays_are_taken(vae: aeonnx.Bundle) -> None:
    wide = np.zeros((5, 1, 28, 56), dtype=np.float32)
    wide[..., ::2] = digits() / np.float32(255)
    np.testing.assert_array_equal(
        vae.encode(wide[..., ::2]), vae.encode(np.ascontiguousarray(wide[..., ::2]))
    )


def test_the_other_byte_order_is_taken(vae: aeonnx.Bundle) -> None:
    z = np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32)
    np.testing.assert_array_equal(vae.decode(z.astype(">f4")), vae.decode(z))


def test_halves_alone_reconstruct(bundle_copy: Path) -> None:
    whole = aeonnx.load(bundle_copy).reconstruct(digits())
    path = bundle_copy / "manifest.json"
    document = json.loads(path.read_text())
    del document["parts"]["reconstructor"]
    path.write_text(json.dumps(document))
    np.testing.assert_allclose(aeonnx.load(bundle_copy).reconstruct(digits()), whole, atol=1e-6)


def test_denoise_is_the_daes(bundle_of: Maker) -> None:
    dae = aeonnx.load(bundle_of("dae"))
    clean = dae.denoise(digits())
    assert clean.shape == (5, 1, 28, 28)
    assert clean.min() >= 0
    assert clean.max() <= 1
    with pytest.raises(BundleError, match=r"this dae has no prior over its latents"):
        dae.generate(3)


def test_parts_that_a_model_lacks_name_the_models_that_have_them(vae: aeonnx.Bundle) -> None:
    with pytest.raises(
        BundleError,
        match=r"no part 'denoiser', it has: decoder, encoder, reconstructor, sampler, scorer\. "
        r"A vae has none; models of aeonnx that have one: dae, sdae",
    ):
        vae.denoise(digits())


def test_generate_does_not_depend_on_the_batch(vae: aeonnx.Bundle) -> None:
    whole = vae.generate(10, seed=3)
    assert whole.shape == (10, 1, 28, 28)
    np.testing.assert_allclose(
        whole,
        np.concatenate([vae.generate(4, seed=3), vae.generate(6, seed=3, first=4)]),
        atol=1e-6,
    )
    np.testing.assert_array_equal(
        vae.draw_latents(10, 3), np.concatenate([vae.draw_latents(1, 3, i) for i in range(10)])
    )
    assert not np.allclose(whole, vae.generate(10, seed=4), atol=1e-3)


class Sparse:
    """What a matrix of scipy's has."""

    def toarray(self) -> np.ndarray:
        return np.zeros((2, 20), np.float32)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([[0.0]], r"got float64 \[1, 1\]: axis 1 must have size 20, not 1"),
        ([[0.0], [0.0, 1.0]], r"got a list whose rows have different shapes: make them equal"),
        (["a"], r"got <U1 \[1\]: 2 axes, not 1"),
        (
            "z.npy",
            r"got a str: read the file first, with PIL\.Image\.open\(\.\.\.\) or nu",
        ),
        (Path("z.npy"), r"got a pathlib\.PosixPath: read the file first"),
        (
            np.zeros((2, 20), dtype=np.int64),
            r"got int64: convert it with \.astype\(numpy\.float32\)",
        ),
        (np.zeros((2, 20), dtype=complex), r"got complex128: complex numbers are not supported"),
        (np.zeros((2, 20), dtype=object), r"got object: its elements are not numbers"),
        (np.zeros((2, 20), dtype="U3"), r"got <U3: its elements are not numbers"),
        (np.ma.zeros((2, 20), dtype=np.float32), r"got a masked array.*\.filled\(0\)"),
        (np.full((2, 20), 1e300), r"got NaN or infinite values"),
        (Sparse(), r"got a tests.Sparse: make it dense with \.toarray\(\)"),
        (np.array(7, np.float32), r"got float32 \[\]: 2 axes, not 0"),
        (np.zeros((2, 20), dtype=np.uint8), r"got uint8: convert it"),
        (np.zeros(20, dtype=np.float32), r"got float32 \[20\]: 2 axes, not 1 \(one row needs"),
        (np.zeros((2, 21), dtype=np.float32), r"axis 1 must have size 20, not 21"),
        (np.zeros((0, 20), dtype=np.float32), r"give at least one row"),
        (np.full((2, 20), np.nan, dtype=np.float32), r"got NaN or infinite values"),
        (np.full((2, 20), np.inf, dtype=np.float32), r"got NaN or infinite values"),
    ],
)
def test_latents_that_do_not_fit_are_refused(vae: aeonnx.Bundle, value: object, text: str) -> None:
    with pytest.raises(InputError, match=r"decoder: z: expected float32 \[batch, 20\].*" + text):
        vae.decode(value)  # type: ignore[arg-type]


def test_images_out_of_range_are_refused(vae: aeonnx.Bundle) -> None:
    text = r"in \[0, 1\], got values from 0 to 255: divide pixels by 255, or pass them as uint8"
    with pytest.raises(InputError, match=text):
        vae.encode(np.full((1, 1, 28, 28), 255, dtype=np.float32) * np.eye(28, dtype=np.float32))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            np.float32(1.0000001),
            r"in \[0, 1\], got values from 0 to 1\.00000012: scale them, or clip",
        ),
        (np.float64(-1.0), r"got values from -1 to 0: shift them with \(value \+ 1\) / 2"),
        (
            np.float16(254.0),
            r"got values from 0 to 254: divide pixels by 255, or pass them as uint8",
        ),
        (np.uint16(70), r"got uint16: divide 16-bit pixels by 65535"),
        (
            np.int64(70),
            r"got int64: pass pixels of 0 to 255 as uint8, with \.astype\(numpy\.uint8\)",
        ),
    ],
)
def test_images_out_of_range_are_told_what_to_do(
    vae: aeonnx.Bundle, value: np.generic, text: str
) -> None:
    x = np.zeros((2, 1, 28, 28), value.dtype)
    x[1, 0, 3] = value
    with pytest.raises(InputError, match=r"encoder: x: expected float32 .*" + text):
        vae.encode(x)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (
            (16, 28, 28),
            r"got uint8 \[16, 28, 28\]: 4 axes, not 3 \(reshape it: .*\(-1, 1, 28, 28\)\)",
        ),
        (
            (16, 784),
            r"got uint8 \[16, 784\]: 4 axes, not 2 \(reshape it: value.reshape\(-1, 1, 28,",
        ),
        ((1, 28, 28), r"\[1, 28, 28\]: 4 axes, not 3 \(one row needs its batch axis too: value\["),
        ((28, 28), r"got uint8 \[28, 28\]: 4 axes, not 2$"),
    ],
)
def test_shapes_are_described_as_they_came(
    vae: aeonnx.Bundle, shape: tuple[int, ...], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        vae.encode(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f8"])
def test_other_floats_are_rounded(vae: aeonnx.Bundle, dtype: str) -> None:
    x = (digits() / 255).astype(dtype)
    np.testing.assert_array_equal(vae.encode(x), vae.encode(x.astype(np.float32)))
    np.testing.assert_array_equal(vae.encode(x + x.dtype.type(0)), vae.encode(x))


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (
            {"seed": np.array(7), "index": np.arange(3)},
            r"seed: expected int64 \[1\], got int64 \[\]",
        ),
        (
            {"seed": np.array([7.5]), "index": np.arange(3)},
            r"seed: expected int64 \[1\], got float64",
        ),
        ({"seed": np.array([-7]), "index": np.arange(3)}, r"got values from -7 to -7: scale"),
        ({"seed": 7, "index": np.arange(3)}, r"seed: .*got a int: make it one with numpy\.asarray"),
    ],
)
def test_seeds_that_are_none_are_refused(
    vae: aeonnx.Bundle, inputs: dict[str, np.ndarray], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        vae.run("sampler", **inputs)


def test_wrong_names_are_refused(vae: aeonnx.Bundle) -> None:
    with pytest.raises(InputError, match=r"decoder: expected inputs \['z'\], got \['x'\]"):
        vae.run("decoder", x=np.zeros((1, 20), dtype=np.float32))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((0,), "n: expected at least 1 sample, got 0"),
        ((2.0,), r"n: expected a whole number, got 2\.0 \(float\)"),
        ((1, 1.5), r"seed: expected a whole number, got 1\.5 \(float\)"),
        ((1, "7"), r"seed: expected a whole number, got '7' \(str\)"),
        ((1, np.array([7])), r"seed: expected a whole number, got array\(\[7\]\) \(ndarray\)"),
        ((1, 0, None), r"first: expected a whole number, got None \(NoneType\)"),
        ((1, -1), r"seed: expected 0 to 2\*\*63 - 1, got -1"),
        ((1, 2**63), r"seed: expected 0 to 2\*\*63 - 1"),
        ((1, 0, -2), r"first: expected an index of 0 to 2\*\*63 - n, got -2"),
    ],
)
def test_samples_out_of_range_are_refused(
    vae: aeonnx.Bundle, arguments: tuple[int, ...], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        vae.generate(*arguments)


def test_missing_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle at"):
        aeonnx.load(tmp_path / "none")


def test_newer_manifest(bundle_copy: Path) -> None:
    path = bundle_copy / "manifest.json"
    path.write_text(path.read_text().replace('"version": 2', '"version": 7'))
    with pytest.raises(ManifestError, match=r"format version 7.*upgrade with"):
        aeonnx.load(bundle_copy)


def test_changed_graph_is_refused(bundle_copy: Path) -> None:
    path = graph_file(bundle_copy, "decoder")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        IntegrityError,
        match=r"decoder\.\w+\.onnx is not the file that the manifest names: expected sha",
    ):
        aeonnx.load(bundle_copy).generate(1)


def test_missing_graph_is_named(bundle_copy: Path) -> None:
    graph_file(bundle_copy, "decoder").unlink()
    with pytest.raises(IntegrityError, match=r"decoder\.\w+\.onnx is missing, though the manifest"):
        aeonnx.load(bundle_copy).generate(1)


def claim(folder: Path, part: str) -> None:
    """Make the manifest name the digest that a graph has now."""
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    data = graph_file(folder, part).read_bytes()
    document["parts"][part]["fp32"] |= {"sha256": sha256(data).hexdigest(), "bytes": len(data)}
    path.write_text(json.dumps(document))


def test_a_file_that_is_no_graph_is_refused(bundle_copy: Path) -> None:
    graph_file(bundle_copy, "decoder").write_bytes(b"not a graph")
    claim(bundle_copy, "decoder")
    with pytest.raises(IntegrityError, match=r"decoder\.\w+\.onnx is not an ONNX graph: wire type"):
        aeonnx.load(bundle_copy).generate(1)


def test_another_part_under_its_name_is_refused(bundle_copy: Path) -> None:
    shutil.copy(graph_file(bundle_copy, "encoder"), graph_file(bundle_copy, "decoder"))
    claim(bundle_copy, "decoder")
    with pytest.raises(IntegrityError, match=r"does not match its manifest: inputs: expected"):
        aeonnx.load(bundle_copy).generate(1)


def test_another_checkpoints_part_is_refused(
    bundle_copy: Path, run_of: Maker, tmp_path: Path
) -> None:
    from aeonnx.exporting import ExportOptions, export

    export(ExportOptions("vae", tmp_path / "o", run_of("vae", "mlp", 1), parts=("decoder",)))
    shutil.copy(graph_file(tmp_path / "o", "decoder"), graph_file(bundle_copy, "decoder"))
    claim(bundle_copy, "decoder")
    with pytest.raises(IntegrityError, match="it comes from another checkpoint than the bundle's"):
        aeonnx.load(bundle_copy).generate(1)


def test_repr_says_what_it_is(vae: aeonnx.Bundle) -> None:
    assert repr(vae).endswith("vae/mlp: decoder, encoder, reconstructor, sampler, scorer)")
    assert vae.provider is None
    vae.generate(1)
    assert vae.provider == "CPUExecutionProvider"


def test_golden_file_of_another_size_is_refused(bundle_copy: Path) -> None:
    bundle = aeonnx.load(bundle_copy)
    tensor = bundle.variant("decoder").golden[0].inputs["z"]
    wrong = GoldenTensor(tensor.file, tensor.sha256, tensor.dtype, (1, 1))
    with pytest.raises(IntegrityError, match=r"z\.\w+\.bin is not the file .*: expected 4 bytes"):
        bundle.read_golden(wrong)
