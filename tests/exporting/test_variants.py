"""fp16, int8 and pixels: each passes its gate or is refused."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import Result

import aeonnx as aeonnx_package
from aeonnx import checkpoint
from aeonnx.bundle import Quality, manifest
from aeonnx.errors import OutputError, QualityError
from aeonnx.exporting import ExportOptions, export
from aeonnx.exporting.verify import quality
from aeonnx.io import writers
from aeonnx.io.pixels import from_pixels, to_pixels
from aeonnx.runtime import verify
from aeonnx.training import TrainOptions, train
from tests.support import Shared, graph_file, weights_file

Maker = Callable[..., Path]
load = aeonnx_package.load
EVERY: dict[str, Any] = {"precisions": ("fp16", "int8"), "io": ("uint8",), "prior": "fitted"}
SOME = {"vae": ("decoder", "reconstructor", "scorer", "sampler")}
"""Parts of the bundle that is made in every run of the tests; of the others all."""


def examples_of(source: Path, bundle: aeonnx_package.Bundle) -> checkpoint.Examples:
    """The images that the bundle's checkpoint carries."""
    examples = checkpoint.load(source, bundle.manifest.model).examples
    assert examples is not None
    return examples


@pytest.fixture(scope="session")
def run(run_of: Maker) -> Callable[[str, str], Path]:
    """(model, arch) -> the folder of a finished run."""

    def make(model: str, arch: str) -> Path:
        # An sdae that knows digits: int8 may move the labels of one that guesses.
        return run_of(model, arch, epochs=10 if model == "sdae" else 1)

    return make


@pytest.fixture(scope="session")
def every_variant(run: Callable[[str, str], Path], shared: Shared) -> Callable[[str, str], Path]:
    """(model, arch) -> a bundle with every variant of its parts."""

    def make(model: str, arch: str) -> Path:
        return shared(
            f"every-{model}-{arch}",
            lambda folder: export(
                ExportOptions(model, folder, run(model, arch), SOME.get(model, ()), **EVERY)
            ),
        )

    return make


@pytest.fixture(
    params=[
        ("vae", "mlp"),
        pytest.param(("dae", "conv"), marks=pytest.mark.slow),
        pytest.param(("sdae", "mlp"), marks=pytest.mark.slow),
    ]
)
def variants(request: pytest.FixtureRequest, every_variant: Callable[[str, str], Path]) -> Path:
    """Each of them."""
    return every_variant(*request.param)


def test_every_variant_is_there_smaller_and_verified(variants: Path) -> None:
    bundle = load(variants)
    report = verify(bundle)
    assert report.passed, report.failures
    seen = {(check.part, check.precision) for check in report.checks}
    for part, found in bundle.manifest.parts.items():
        if part == "sampler":
            continue
        names = {f"{p}{io}" for p in ("fp32", "fp16", "int8") for io in ("", "-uint8")}
        assert set(found) == names
        assert {(part, name) for name in names} <= seen
        full = found["fp32"].bytes
        assert found["fp16"].bytes < 0.55 * full
        assert found["int8"].bytes < 0.40 * full
        for precision, drop, snr in (("fp16", 0.1, 42.0), ("int8", 0.5, 21.0)):
            measured = found[precision].quality
            assert measured is not None
            assert list(measured) == [spec.name for spec in found[precision].outputs]
            for output, items in measured.items():
                assert all(item.passed for item in items)
                kinds = {item.metric: item for item in items}
                assert kinds["snr"].least == snr
                scored = {"logits", "probabilities"}
                assert ("agreement" in kinds) == (output in scored)
                assert ("psnr" in kinds) == (output not in scored | {"logvar", "error", "map"})
                if "psnr" in kinds:
                    assert kinds["psnr"].fp32 is not None
                    assert kinds["psnr"].fp32 - kinds["psnr"].least == pytest.approx(drop)
        assert found["fp32"].quality is None


def test_another_process_in_another_folder_writes_the_same_bytes(
    every_variant: Callable[[str, str], Path], run_of: Maker, tmp_path: Path
) -> None:
    here, there = every_variant("vae", "mlp"), tmp_path / "there/deep"
    there.mkdir(parents=True)
    command = [
        sys.executable, "-m", "aeonnx", "export", "-m", "vae", "--prior", "fitted",
        "--checkpoint", str(run_of()), "-o", "b", "--part", "decoder", "--part", "sampler",
        "--precision", "fp16", "--precision", "int8", "--io", "uint8",
    ]  # fmt: skip
    subprocess.run(command, cwd=there, check=True, capture_output=True)
    before, after = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (here, there / "b")
    )
    manifests = [json.loads(files.pop(Path("manifest.json"))) for files in (before, after)]
    all_parts, parts = (document.pop("parts") for document in manifests)
    assert manifests[0] == manifests[1]
    assert parts == {part: all_parts[part] for part in ("decoder", "sampler")}
    assert len(after) > 20
    assert after.items() <= before.items()


def test_edges_stay_float32_and_domains_standard(variants: Path) -> None:
    for path in variants.glob("*.onnx"):
        graph = onnx.load(path)
        assert [item.domain for item in graph.opset_import] == [""]
        onnx.checker.check_model(graph, full_check=True)
        if "uint8" not in path.name and not path.name.startswith("sampler."):
            types = {
                value.type.tensor_type.elem_type
                for value in (*graph.graph.input, *graph.graph.output)
            }
            assert types == {onnx.TensorProto.FLOAT}


def test_pixels_are_the_float_graphs_to_the_bit(
    variants: Path, run: Callable[[str, str], Path]
) -> None:
    bundle = load(variants)
    examples = examples_of(run(bundle.manifest.model, bundle.manifest.arch), bundle)
    pixels = examples.train.numpy()[:40]
    for precision in ("fp32", "fp16", "int8"):
        for part in ("denoiser", "reconstructor"):
            if part not in bundle.manifest.parts:
                continue
            floats = bundle.session(part, precision).run({"x": from_pixels(pixels)})
            given = bundle.session(part, f"{precision}-uint8").run({"x": pixels})
            np.testing.assert_array_equal(
                given["reconstruction"], to_pixels(floats["reconstruction"])
            )


def test_scores_have_thresholds_of_their_own(
    variants: Path, run: Callable[[str, str], Path]
) -> None:
    bundle = load(variants)
    examples = examples_of(run(bundle.manifest.model, bundle.manifest.arch), bundle)
    for name, variant in bundle.manifest.parts["scorer"].items():
        x = examples.normal.numpy()
        x = x if name.endswith("uint8") else from_pixels(x)
        outputs = bundle.session("scorer", name).run({"x": x})
        assert set(variant.percentiles["error"]) == {"p95", "p99"}
        for percentile, value in variant.percentiles["error"].items():
            rank = math.ceil((len(x) + 1) * int(percentile[1:]) / 100)
            assert value == pytest.approx(np.sort(outputs["error"])[rank - 1], rel=1e-5)
        assert variant.normal["error"].rows == len(x)
        assert variant.normal["error"].held_out


def test_the_score_is_the_mean_squared_error(bundle_of: Maker, run_of: Maker) -> None:
    bundle = load(bundle_of())
    examples = examples_of(run_of(), bundle)
    x = from_pixels(examples.test.numpy())
    found = bundle.run("scorer", x=x)
    np.testing.assert_allclose(found["reconstruction"], bundle.reconstruct(x), atol=1e-6)
    expected = np.square(x - bundle.reconstruct(x)).mean((1, 2, 3))
    np.testing.assert_allclose(found["error"], expected, rtol=1e-4)
    assert found["error"].shape == (64,)
    # A black digit on white is unlike every one that was learned.
    threshold = bundle.variant("scorer").percentiles["error"]["p99"]
    assert (bundle.run("scorer", x=1 - x)["error"] > threshold).all()


def test_a_variant_that_loses_too_much_is_refused_with_the_number(
    aeonnx: Callable[..., Result], run_of: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(quality.LIMITS, "int8", quality.Limits(-1.0, 21.0, 0.98))
    result = aeonnx(
        "export", "-m", "vae", "--part", "decoder", "--checkpoint", run_of(), "-o", "b",
        "--precision", "int8",
    )  # fmt: skip
    assert result.exit_code == 3
    assert "decoder in int8: reconstruction loses" in result.stderr
    assert "dB of PSNR on 64 test inputs" in result.stderr
    assert "with its last layer in fp32, reconstruction loses" in result.stderr
    assert "at most -1 is allowed" in result.stderr
    assert not Path("b").exists()


def test_the_last_layer_stays_float_where_that_wins(
    run_of: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, forms = quality.measure, []

    def first_form_fails(*arguments: object) -> object:
        found = real(*arguments)  # type: ignore[arg-type]
        forms.append(found)
        lost = Quality("psnr", 1, 9, 64, 9.5)
        return found if len(forms) > 1 else [quality.Loss("reconstruction", (lost,), 0.0, 1.0)]

    monkeypatch.setattr("aeonnx.exporting.variants.measure", first_form_fails)
    folder = tmp_path / "b"
    options = ExportOptions("vae", folder, run_of(), parts=("decoder",), precisions=("int8",))
    contents = export(options).manifest
    assert len(forms) == 2
    ops = [node.op_type for node in onnx.load(graph_file(folder, "decoder", "int8")).graph.node]
    assert "MatMul" in ops
    assert "MatMulInteger" in ops
    assert contents.parts["decoder"]["int8"].bytes < contents.parts["decoder"]["fp32"].bytes


@pytest.mark.shortened(1)
@pytest.mark.parametrize("faster", [0.95, 1.15])
def test_a_variant_that_is_neither_smaller_nor_faster_is_refused(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faster: float
) -> None:
    """The time is given, since that of microseconds changes with what else the machine does."""
    monkeypatch.setitem(quality.LIMITS, "int8", quality.Limits(100.0, -100.0, 0.0))
    monkeypatch.setattr("aeonnx.exporting.variants.speedup", lambda *_: faster)
    # Otherwise int8 weights alone are smaller.
    monkeypatch.setattr("aeonnx.exporting.passes.weights._FEWEST", 10**9)
    tiny = {"hidden": (2,), "latent_size": 1, "epochs": 1, "device": "cpu"}
    run = shared("tiny-ae", lambda folder: train(TrainOptions("ae", folder, **tiny)))
    options = ExportOptions("ae", tmp_path / "b", run, parts=("decoder",), precisions=("int8",))
    if faster > 1.1:
        export(options)
        variants = manifest.read(tmp_path / "b").parts["decoder"]
        assert variants["int8"].bytes >= variants["fp32"].bytes
        return
    with pytest.raises(
        QualityError,
        match=r"not worth it: [\d,]+ bytes, where fp32 has [\d,]+, and 0\.95 times as fast",
    ):
        export(options)
    assert not (tmp_path / "b").exists()


def test_how_many_times_as_fast_is_measured() -> None:
    task = SimpleNamespace(inputs={})

    def lasts(seconds: float) -> Callable[[object], None]:
        return lambda _: time.sleep(seconds)

    assert 2 < quality.speedup(task, lasts(0.02), lasts(0.005)) < 5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--precision", "int4"], "unknown precision 'int4'"),
        (["--io", "uint16"], "unknown --io 'uint16'"),
        (["--calibration", "nowhere.npy"], "nowhere.npy"),
        (["--target", "tensort-8"], "Did you mean 'tensorrt-8'?"),
        (["--target", "opencv", "--opset", "18"], "--target opencv reads opsets up to 13"),
        (["--static-batch", "0"], "'--static-batch': 0 is not in the range"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(
    aeonnx: Callable[..., Result], run_of: Maker, arguments: list[str], text: str
) -> None:
    result = aeonnx("export", "-m", "vae", "--checkpoint", run_of(), "-o", "b", *arguments)
    assert result.exit_code in (1, 2)
    assert text in result.stderr
    assert not Path("b").exists()


def test_calibration_images_of_another_shape_are_refused(
    aeonnx: Callable[..., Result], run_of: Maker
) -> None:
    writers.write(Path("wide.npy"), np.zeros((4, 1, 28, 30), np.float32), force=True)
    result = aeonnx(
        "export", "-m", "vae", "--checkpoint", run_of(), "-o", "b", "--calibration", "wide.npy"
    )
    assert result.exit_code == 1
    assert "wide.npy" in result.stderr
    assert "28" in result.stderr
    assert not Path("b").exists()


def test_calibration_images_stand_in_for_those_of_a_bare_state_dict(
    aeonnx: Callable[..., Result], run_of: Maker, tmp_path: Path
) -> None:
    weights = weights_file(run_of())
    arguments = ["export", "-m", "vae", "--checkpoint", weights, "-o", "b", "--precision", "int8"]
    arguments += ["--part", "decoder"]
    refused = aeonnx(*arguments)
    assert refused.exit_code == 2
    assert "carries no images to measure the loss on: give some with --calibration" in (
        refused.stderr
    )
    examples = checkpoint.load(run_of(), "vae").examples
    assert examples is not None
    np.save(tmp_path / "one.npy", examples.train[:1].numpy())
    refused = aeonnx(*arguments, "--calibration", "one.npy")
    assert refused.exit_code == 2
    assert (
        "--calibration: expected 2 rows or more, to measure the loss of --precision on, got 1"
        in (refused.stderr)
    )
    np.save(tmp_path / "digits.npy", examples.train.numpy())
    done = aeonnx(*arguments, "--calibration", "digits.npy")
    assert done.exit_code == 0, done.stderr
    assert verify(load("b")).passed


def test_export_and_inspect_tell_the_cost(aeonnx: Callable[..., Result], run_of: Maker) -> None:
    arguments = ["export", "-m", "vae", "--checkpoint", run_of(), "-o", "b", "--part", "decoder"]
    result = aeonnx(*arguments, "--precision", "int8", "--json")
    variants = json.loads(result.stdout)["parts"]["decoder"]
    assert set(variants) == {"fp32", "int8"}
    snr, psnr = variants["int8"]["quality"]["reconstruction"]
    assert (snr["metric"], psnr["metric"]) == ("snr", "psnr")
    shown = aeonnx("inspect", "b").stdout
    assert f"{psnr['value'] - psnr['fp32']:+.3f} dB" in shown
    assert f"{snr['value']:.1f} dB" in shown
    assert f"{snr['least']:.1f} dB" in shown
    assert graph_file(Path("b"), "decoder", "int8").name in shown


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted by root alone")
@pytest.mark.parametrize("room", [16, 700])
def test_a_full_temporary_folder_is_named(
    run_of: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", f"size={room}k", "tmpfs", str(small)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    monkeypatch.setattr(tempfile, "tempdir", str(small))
    options = ExportOptions("vae", tmp_path / "b", run_of(), ("decoder",), precisions=("int8",))
    try:
        with pytest.raises(OutputError, match=f"no room for temporary files in {small} .*TMPDIR"):
            export(options)
    finally:
        subprocess.run(["/bin/umount", str(small)], check=True)
    assert not (tmp_path / "b").exists()
