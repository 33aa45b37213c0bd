"""What fewer bits may cost: every output has a limit, whatever it is, and golden tolerances too."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.helper
import onnx.numpy_helper
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from aeonnx.bundle import TensorSpec
from aeonnx.errors import QualityError
from aeonnx.exporting import ExportOptions, export, variants
from aeonnx.exporting.verify.quality import LIMITS, Loss, Task, measure
from aeonnx.models import Part
from tests.support import graph_file

Array = npt.NDArray[Any]
Maker = Callable[..., Path]
SHAPES: dict[str, tuple[int, ...]] = {"image": (1, 8, 8), "vector": (12,), "number": ()}
BOUNDS = [(0.0, 1.0), (-1.0, 1.0), (-20.0, 300.0), None]
OFFSETS = {"fp16": 0.01, "int8": 0.1}  # of the spread


def task(images: Array, bounds: tuple[float, float] | None = (0.0, 1.0), **more: Any) -> Task:
    decoded = TensorSpec("reconstruction", ("batch", *images.shape[1:]), range=(0.0, 1.0))
    settings = {"classes": 0, "latents": None, "decode": lambda z: z, "decoded": decoded}
    return Task({"x": images}, images, bounds, **{**settings, **more})


def losses(
    values: Mapping[str, Array],
    changed: Mapping[str, Array],
    about: Task,
    precision: str,
    **spec: Any,
) -> dict[str, Loss]:
    outputs = tuple(
        TensorSpec(name, ("batch", *value.shape[1:]), str(value.dtype), **spec)
        for name, value in values.items()
    )
    part = Part(nn.Identity(), (TensorSpec("x", ("batch", *about.images.shape[1:])),), outputs)
    found = measure(part, precision, about, lambda _: dict(values), lambda _: dict(changed))
    return {loss.output: loss for loss in found}


def rows(kind: str, bounds: tuple[float, float] | None, seed: int = 0) -> Array:
    """Of 64 rows, skewed, with features of unlike levels."""
    rng = np.random.default_rng(seed)
    value = rng.beta(0.5, 0.8, (64, *SHAPES[kind])) * rng.uniform(0.3, 1, SHAPES[kind])
    low, high = bounds or (-3.0, 5.0)
    return (low + (high - low) * value).astype(np.float32)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@given(kind=st.sampled_from([*SHAPES]), seed=st.integers(0, 99), sign=st.sampled_from([-1, 1]))
def test_every_output_has_a_limit(
    precision: str, bounds: tuple[float, float] | None, kind: str, seed: int, sign: int
) -> None:
    value = rows(kind, bounds, seed)
    spread = float(np.sqrt(value.astype(np.float64).var(0).mean()))
    images = rows("image", (0, 1), seed + 100)
    noise = np.random.default_rng(seed).standard_normal(value.shape)
    noise /= np.sqrt(np.square(noise).mean())
    for share, refused in ((0.2, False), (1.0, True)):
        size = share * OFFSETS[precision] * spread
        for change in (sign * size, noise * size):
            changed = {"first": value, "second": (value + change).astype(np.float32)}
            found = losses(
                {"first": value, "second": value}, changed, task(images), precision, range=bounds
            )
            assert found["first"].failures == []
            assert bool(found["second"].failures) == refused, found["second"]
    least = LIMITS[precision].snr
    assert f"at least {least:g} is needed" in found["second"].failures[0]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_collapsed_output_is_held_to_its_size(precision: str) -> None:
    value = np.full((64, 3), 7.0, np.float32)
    about = task(rows("image", (0, 1)))
    for share, refused in ((1.0, True), (0.2, False)):
        off = value * np.float32(1 + share * OFFSETS[precision])
        found = losses({"z": value}, {"z": off}, about, precision)["z"]
        assert bool(found.failures) == refused


@pytest.mark.parametrize(
    ("value", "images", "text"),
    [
        (np.zeros((64, 3), np.float32), 64, "z: the loss of reduced precision cannot be "
         "measured, since fp32 outputs only zeros for 64 test inputs: leave the part or the "
         "precision out"),
        (np.full((64, 3), np.inf, np.float32), 64, "fp32 outputs NaN or infinite values"),
        (np.ones((1, 3), np.float32), 1, "cannot be measured on 1 image: pass more with "
         "--calibration"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(value: Array, images: int, text: str) -> None:
    about = task(rows("image", (0, 1))[:images])
    with pytest.raises(QualityError, match=re.escape(text)):
        losses({"z": value}, {"z": value}, about, "int8")


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_psnr_is_relative_to_the_width_of_the_range(bounds: tuple[float, float]) -> None:
    """The same images in another range have the same PSNR, against targets of yet another."""
    unit = rows("image", (0, 1))
    given_ = np.clip(unit + np.float32(0.1), 0, 1)
    low, width = bounds[0], bounds[1] - bounds[0]
    value = {"y": (low + width * given_).astype(np.float32)}
    for target_bounds in ((0.0, 1.0), (-1.0, 1.0)):
        targets = target_bounds[0] + (target_bounds[1] - target_bounds[0]) * unit
        found = losses(value, value, task(targets, target_bounds), "int8", range=bounds)["y"]
        psnr = next(item for item in found.found if item.metric == "psnr")
        expected = np.mean(-10 * np.log10(np.square(given_ - unit).mean((1, 2, 3))))
        assert psnr.value == pytest.approx(expected, abs=1e-3)
        assert psnr.fp32 == psnr.value


def test_latents_are_also_judged_by_the_images_that_they_lead_to() -> None:
    images, z = rows("image", (0, 1)), rows("vector", None)

    def decode(latents: Array) -> Array:  # all that differs is drawn ten times as far
        gone = 10 * (latents - z).mean(1)
        return np.clip(images + 0.2 + gone[:, None, None, None], 0, 1)

    about = task(images, latents="z", decode=decode)
    found = losses({"z": z}, {"z": z + np.float32(0.05)}, about, "int8")["z"]
    assert [line for line in found.failures if "z loses" in line and "dB of PSNR on 64" in line]


def test_scores_of_classes_and_whole_numbers_must_agree() -> None:
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((64, 4)).astype(np.float32) * 1e-3
    scores[:, 0] += 100 * rng.standard_normal(64)  # so that the labels hang on little
    scores[32:] = scores[32:, :1] + 1e-3 * rng.standard_normal((32, 4))
    about = task(rows("image", (0, 1)), classes=4)
    shaken = scores + np.float32(0.5) * rng.standard_normal(scores.shape).astype(np.float32)
    found = losses({"scores": scores}, {"scores": shaken}, about, "int8")["scores"]
    assert [item.metric for item in found.found if not item.passed] == ["agreement"]
    assert "at least 98.00% is needed" in found.failures[0]
    codes = rng.integers(0, 512, (64, 10))
    moved = codes.copy()
    moved[:2] += 1
    found = losses({"codes": codes}, {"codes": moved}, about, "int8")["codes"]
    assert "codes agrees with fp32 in 96.88% of cases on 64 test inputs" in found.failures[0]
    assert not losses({"codes": codes}, {"codes": codes}, about, "fp16")["codes"].failures


# By what an exported graph does.


def perturbed(graph: onnx.ModelProto, output: str, offset: float) -> onnx.ModelProto:
    """The graph with a number added to an output."""
    for node in graph.graph.node:
        node.input[:] = [f"{output}.right" if name == output else name for name in node.input]
        node.output[:] = [f"{output}.right" if name == output else name for name in node.output]
    number = onnx.numpy_helper.from_array(np.float32(offset), f"{output}.offset")
    graph.graph.initializer.append(number)
    wrong = onnx.helper.make_node(
        "Add", [f"{output}.right", number.name], [output], f"{output}.wrong"
    )
    graph.graph.node.append(wrong)
    return graph


@pytest.mark.shortened(1)
@pytest.mark.parametrize(
    ("precision", "part", "output", "offset"),
    [
        ("int8", "encoder", "logvar", 100.0),
        ("int8", "encoder", "logvar", 0.5),
        ("fp16", "scorer", "error", 5e-4),
        ("fp16", "encoder", "logvar", 0.05),
    ],
)
def test_a_fault_in_a_second_output_is_refused(
    aeonnx: Callable[..., Result],
    run_of: Maker,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    part: str,
    output: str,
    offset: float,
) -> None:
    real = variants.in_precision
    monkeypatch.setattr(
        variants,
        "in_precision",
        lambda *given: [
            replace(form, graph=perturbed(form.graph, output, offset)) for form in real(*given)
        ],
    )
    result = aeonnx(
        "export", "-m", "vae", "--part", part, "--checkpoint", run_of(), "-o", "b",
        "--precision", precision,
    )  # fmt: skip
    assert result.exit_code == 3
    assert f"{part} in {precision}: {output} has a signal-to-noise ratio of " in result.stderr
    assert "dB on 64 test inputs" in result.stderr
    assert not Path("b").exists()


@pytest.fixture(scope="session")
def lossy(shared: Any, run_of: Maker) -> Path:
    """A `vae` bundle of an encoder and a decoder in fp16 and int8; not to be changed."""
    options = {"parts": ("encoder", "decoder"), "precisions": ("fp16", "int8")}
    return Path(
        shared("lossy", lambda folder: export(ExportOptions("vae", folder, run_of(), **options)))
    )


@pytest.mark.shortened(3)
@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize(
    ("part", "output"), [("encoder", "mu"), ("encoder", "logvar"), ("decoder", "reconstruction")]
)
def test_golden_tolerances_follow_from_the_limit(
    lossy: Path,
    tmp_path: Path,
    aeonnx: Callable[..., Result],
    precision: str,
    part: str,
    output: str,
) -> None:
    """A few times what the limit allows on average is not right any more, on any machine."""
    folder = shutil.copytree(lossy, tmp_path / "b")
    assert aeonnx("verify", folder).exit_code == 0
    variant = json.loads((folder / "manifest.json").read_text())["parts"][part][precision]
    stored = variant["golden"][0]["outputs"][output]
    values = np.fromfile(folder / stored["file"], "<f4").reshape(stored["shape"])
    spread = np.sqrt(values.astype(np.float64).var(0).mean())
    times = 30 if output == "reconstruction" else 12
    offset = times * spread * 10 ** (-LIMITS[precision].snr / 20)
    graph = perturbed(onnx.load(graph_file(folder, part, precision)), output, offset)
    replace_graph(folder, part, precision, graph)
    result = aeonnx("verify", folder)
    assert result.exit_code == 3
    assert f"{part}.{output} ({precision}): " in result.output


def replace_graph(folder: Path, part: str, variant: str, graph: onnx.ModelProto) -> None:
    """Put another graph in a variant's place, so that only what it gives is wrong."""
    data = graph.SerializeToString()
    path = graph_file(folder, part, variant)
    path.write_bytes(data)
    document = json.loads((folder / "manifest.json").read_text())
    document["parts"][part][variant] |= {"sha256": sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "manifest.json").write_text(json.dumps(document))
