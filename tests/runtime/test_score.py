"""`Bundle.score`, and what a bundle says of its parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import aeonnx
from aeonnx.bundle import TensorSpec
from aeonnx.errors import BundleError, InputError

Maker = Callable[..., Path]


def digits(n: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 1, 28, 28), dtype=np.uint8)


def test_scores_are_errors_of_reconstructions(bundle_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of())
    scores = bundle.score(digits())
    assert scores.dtype == np.float32
    assert scores.shape == (5,)
    errors = ((digits() / 255 - bundle.reconstruct(digits())) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(scores, errors, rtol=1e-5)
    np.testing.assert_array_equal(scores, bundle.run("scorer", x=digits())["error"])
    assert scores.min() > bundle.variant("scorer").percentiles["error"]["p99"], "noise is no digit"


def test_scores_of_many_rows_and_into_an_array(bundle_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of(), max_batch=64)
    scores = bundle.score(digits(1100))
    np.testing.assert_allclose(scores[-5:], bundle.score(digits(1100)[-5:]), rtol=1e-5)
    out = np.empty(1100, np.float32)
    assert bundle.score(digits(1100), out=out) is out
    np.testing.assert_array_equal(out, scores)
    with pytest.raises(InputError, match=r"scorer: out: expected float32 \[5\], got float32 \[4\]"):
        bundle.score(digits(), out=np.empty(4, np.float32))


def test_no_scorer_names_the_command(denoiser: Path) -> None:
    bundle = aeonnx.load(denoiser)
    for call in (lambda: bundle.score(digits()), lambda: bundle.require("score")):
        with pytest.raises(
            BundleError, match="no part 'scorer', .* export --model dae --part scor"
        ):
            call()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": "loss"}, "cannot score: expected an output error, got reconstruction, loss"),
        (
            {"shape": ["batch", 1], "kind": "vector"},
            "cannot score: expected an output of the kind score, got error of vector",
        ),
    ],
)
def test_a_scorer_of_another_kind(bundle_copy: Path, change: dict[str, object], text: str) -> None:
    path = bundle_copy / "manifest.json"
    document = json.loads(path.read_text())
    variant = document["parts"]["scorer"]["fp32"]
    variant["outputs"][1] |= change
    name = variant["outputs"][1]["name"]
    for kind in ("parity", "percentiles"):
        variant[kind] = {
            name if key == "error" else key: value for key, value in variant[kind].items()
        }
    golden = variant["golden"][0]["outputs"]
    golden[name] = golden.pop("error")
    golden[name]["shape"] += [1] if "shape" in change else []
    path.write_text(json.dumps(document))
    with pytest.raises(BundleError, match=text):
        aeonnx.load(bundle_copy).score(digits())


def test_parts_with_inputs_and_outputs(bundle_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of())
    assert bundle.parts == ("decoder", "encoder", "reconstructor", "sampler", "scorer")
    (x,) = bundle.inputs("encoder")
    assert (x.name, x.shape, x.dtype, x.range) == ("x", ("batch", 1, 28, 28), "float32", (0, 1))
    assert isinstance(x, TensorSpec)
    assert [(item.name, item.shape) for item in bundle.outputs("encoder")] == [
        ("mu", ("batch", 20)),
        ("logvar", ("batch", 20)),
    ]
    seed, index = bundle.inputs("sampler")
    assert (seed.shape, index.shape) == ((1,), ("batch",))
    for part in bundle.parts:
        rows = {
            item.name: np.zeros([3 if size == "batch" else size for size in item.shape], item.dtype)
            for item in bundle.inputs(part)
        }
        found = bundle.run(part, **rows)
        assert list(found) == [item.name for item in bundle.outputs(part)]
        for item in bundle.outputs(part):
            assert found[item.name].dtype == item.dtype
            assert found[item.name].shape == (3, *item.shape[1:])
    with pytest.raises(BundleError, match="no part 'encodr', it has: decoder, encoder"):
        bundle.inputs("encodr")
    with pytest.raises(BundleError, match="no part 'encodr'"):
        bundle.outputs("encodr")


def test_a_fixed_batch_takes_any_number_of_rows(run_of: Maker, tmp_path: Path) -> None:
    from aeonnx.exporting import ExportOptions, export

    folder = tmp_path / "b"
    export(ExportOptions("vae", folder, run_of(), ("encoder", "scorer"), static_batch=2))
    bundle = aeonnx.load(folder)
    assert bundle.inputs("encoder")[0].shape == ("batch", 1, 28, 28)
    assert bundle.outputs("encoder")[0].shape == ("batch", 20)
    assert bundle.variant("encoder").inputs[0].shape == (2, 1, 28, 28)
    assert bundle.encode(digits(3)).shape == (3, 20)
    assert bundle.score(digits(3)).shape == (3,)
