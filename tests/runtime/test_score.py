"""`Bundle.score`, and what a bundle says of its parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import aeonnx
from aeonnx.bundle import TensorSpec
from aeonnx.checkpoint import load
from aeonnx.errors import BundleError, InputError, UsageError

Maker = Callable[..., Path]


def digits(n: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 1, 28, 28), dtype=np.uint8)


def test_scores_are_errors_of_reconstructions(bundle_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of())
    scores = bundle.score(digits()).scores
    assert scores.dtype == np.float32
    assert scores.shape == (5,)
    errors = ((digits() / 255 - bundle.reconstruct(digits())) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(scores, errors, rtol=1e-5)
    np.testing.assert_array_equal(scores, bundle.run("scorer", x=digits())["error"])
    assert scores.min() > bundle.variant("scorer").percentiles["error"]["p99"], "noise is no digit"


def test_scores_of_many_rows(bundle_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of(), max_batch=64)
    scores = bundle.score(digits(1100)).scores
    np.testing.assert_allclose(scores[-5:], bundle.score(digits(1100)[-5:]).scores, rtol=1e-5)


def test_maps_say_where_the_errors_are(bundle_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of())
    found = bundle.score(digits())
    assert found.maps is not None
    expected = np.square(digits() / 255 - bundle.reconstruct(digits()))[:, 0]
    np.testing.assert_allclose(found.maps, expected, atol=1e-5)
    np.testing.assert_allclose(found.maps.mean((1, 2)), found.scores, rtol=1e-4)


def test_verdicts_follow_from_the_threshold(bundle_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of())
    known = bundle.variant("scorer").percentiles["error"]
    found = bundle.score(digits())
    assert found.threshold == known["p99"]
    assert bundle.score(digits(), threshold="p95").threshold == known["p95"]
    middle = float(np.sort(found.scores)[2])
    for threshold in (middle, f"{middle!r}", np.float32(middle)):
        assert bundle.score(digits(), threshold=threshold).odd.tolist() == [
            error > middle for error in found.scores.tolist()
        ]
    for wrong in ("p90", "much", True, float("nan"), None):
        with pytest.raises(UsageError) as caught:
            bundle.score(digits(), threshold=wrong)  # type: ignore[arg-type]
        assert str(caught.value) == f"threshold: expected p95, p99 or a number, got {wrong!r}"


def test_percentiles_are_among_normal_images(bundle_of: Maker, run_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of())
    normal = load(run_of(), "vae").examples.normal.numpy()  # type: ignore[union-attr]
    found = bundle.score(normal)
    order = np.argsort(found.scores)
    assert (np.diff(found.percentiles[order]) >= 0).all()
    ranks = 100 * np.arange(len(normal)) / (len(normal) - 1)
    np.testing.assert_allclose(found.percentiles[order], ranks, atol=1)
    noise = bundle.score(digits())
    assert (noise.percentiles == 100).all()


def test_values_that_no_normal_image_has_are_scored(bundle_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of())
    x = np.zeros((3, 1, 28, 28), np.float32)
    x[1], x[2] = 40, -3
    found = bundle.score(x)
    np.testing.assert_allclose(
        found.scores, np.square(x - bundle.run("scorer", x=x)["reconstruction"]).mean((1, 2, 3)),
        rtol=1e-4,
    )  # fmt: skip
    assert found.odd.tolist()[1:] == [True, True]
    x[2, 0, 3, 4] = np.nan
    with pytest.raises(InputError, match="got NaN or infinite values in row 2: remove them first"):
        bundle.score(x)
    x[2] = -3
    with pytest.raises(InputError, match=r"in \[0, 1\], got values from -3 to 40"):
        bundle.encode(x)


@pytest.mark.parametrize("arch", ["mlp", "conv"])
@pytest.mark.parametrize("size", [1e19, 1e30, 3.4e38])
def test_values_at_which_the_network_overflows_are_odd(
    bundle_of: Maker, arch: str, size: float
) -> None:
    bundle = aeonnx.load(bundle_of("ae", arch))
    x = np.full((4, 1, 28, 28), size, np.float32)
    x[1] *= -1
    x[2, 0, ::2] *= -1
    x[3] = 0
    found = bundle.score(x)
    assert found.odd.tolist()[:3] == [True] * 3
    assert (found.percentiles[:3] == 100).all()
    assert found.maps is not None
    assert not np.isnan(found.maps).any()
    alone = bundle.score(x[3:])
    assert (found.odd[3], found.scores[3]) == (alone.odd[0], pytest.approx(alone.scores[0]))
    for place in range(4):
        json.dumps(found.row(place), allow_nan=False)


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
        ({"name": "loss"}, "cannot score: expected an output error, got reconstruction, loss, map"),
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
    for kind in ("parity", "percentiles", "normal"):
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
    assert len(bundle.score(digits(3))) == 3
