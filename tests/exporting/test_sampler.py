"""The sampler draws what numpy draws, and decodes what the decoder decodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aeonnx as aeonnx_package
from aeonnx import checkpoint
from aeonnx.errors import BundleError, ParityError
from aeonnx.exporting import ExportOptions, export, sampler_export
from aeonnx.io.pixels import to_pixels
from aeonnx.runtime import verify
from tests.support import graph_file

Maker = Callable[..., Path]
load = aeonnx_package.load


@pytest.mark.parametrize("arch", ["mlp", pytest.param("conv", marks=pytest.mark.slow)])
@given(
    seed=st.integers(0, 2**63 - 1),
    first=st.integers(0, 2**62),
    cut=st.integers(1, 8),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_python_decoder_and_graph_give_the_same_images(
    bundle_of: Maker, arch: str, seed: int, first: int, cut: int
) -> None:
    bundle = load(bundle_of("vae", arch))
    index = np.arange(first, first + 9)
    whole = bundle.run("sampler", seed=np.array([seed]), index=index)
    z = bundle.draw_latents(9, seed, first)
    np.testing.assert_allclose(whole["z"], z, rtol=1e-6, atol=1e-6)
    images = bundle.generate(9, seed, first)
    np.testing.assert_array_equal(bundle.decode(z), images)
    np.testing.assert_array_equal(to_pixels(images), whole["image"])
    parts = [
        bundle.run("sampler", seed=np.array([seed]), index=i) for i in (index[:cut], index[cut:])
    ]
    for name, value in whole.items():
        np.testing.assert_array_equal(value, np.concatenate([part[name] for part in parts]))


def test_no_node_of_the_sampler_is_random(bundle_of: Maker) -> None:
    graph = onnx.load(graph_file(bundle_of(), "sampler")).graph
    ops = {node.op_type for node in graph.node}
    assert not [op for op in ops if op.startswith(("Random", "Multinomial", "Bernoulli"))]
    assert "BitwiseXor" in ops
    assert "Cos" not in ops  # of float64, onnxruntime has it since 1.29 only
    found = aeonnx_package.load(bundle_of()).manifest.parts
    releases = {part: variants["fp32"].min_onnxruntime for part, variants in found.items()}
    assert releases.pop("sampler") == "1.21"  # Mul of uint64
    assert set(releases.values()) == {"1.14"}
    assert [value.name for value in graph.input] == ["seed", "index"]
    assert [value.name for value in graph.output] == ["z", "image"]


def test_a_bundle_with_nothing_but_the_sampler_generates(
    run_of: Maker, bundle_of: Maker, tmp_path: Path
) -> None:
    exported = export(ExportOptions("vae", tmp_path / "b", run_of(), parts=("sampler",)))
    files = {str(p.relative_to(tmp_path / "b")) for p in (tmp_path / "b").rglob("*.onnx")}
    assert files == {graph_file(tmp_path / "b", "sampler").name}
    assert list(exported.manifest.parts) == ["sampler"]
    alone = load(tmp_path / "b").generate(5, 3)
    expected = to_pixels(load(bundle_of()).generate(5, 3))
    np.testing.assert_array_equal(to_pixels(alone), expected)


@pytest.mark.parametrize(
    "kind", ["fitted", pytest.param("fitted-diagonal", marks=pytest.mark.slow)]
)
def test_a_plain_autoencoder_generates_from_a_fitted_prior(
    run_of: Maker, tmp_path: Path, kind: str
) -> None:
    parts = ("encoder", "decoder", "sampler")
    options = ExportOptions("ae", tmp_path / "b", run_of("ae"), parts, prior=kind)
    export(options)
    bundle = load(tmp_path / "b")
    assert verify(bundle).passed
    assert bundle.manifest.prior is not None
    assert bundle.manifest.prior.kind == kind
    examples = checkpoint.load(run_of("ae"), "ae").examples
    assert examples is not None
    latents = bundle.encode(examples.train.numpy()).astype(np.float64)
    drawn_latents = bundle.draw_latents(20_000, 1)
    scale = latents.std(0).max()
    assert drawn_latents.mean(0) == pytest.approx(latents.mean(0), abs=0.03 * scale)
    expected, got = np.cov(latents.T, bias=True), np.cov(drawn_latents.T)
    if kind == "fitted-diagonal":
        expected = np.diag(np.diag(expected))
    assert got == pytest.approx(expected, abs=0.05 * scale**2)
    rows = {"seed": np.array([1]), "index": np.arange(8)}
    sampled = bundle.run("sampler", **rows)
    np.testing.assert_array_equal(sampled["image"], to_pixels(bundle.generate(8, 1)))
    # Cooler draws lie nearer to the mean.
    export(replace(options, parts=("decoder", "sampler"), temperature=0.5, force=True))
    cooler = load(tmp_path / "b").draw_latents(20_000, 1)
    assert np.cov(cooler.T) == pytest.approx(got / 4, rel=1e-3, abs=1e-6 * scale**2)


def test_without_a_prior_there_is_nothing_to_generate(bundle_of: Maker) -> None:
    bundle = load(bundle_of("ae"))
    assert "sampler" not in bundle.manifest.parts
    with pytest.raises(BundleError, match="fit one with: aeonnx export --model ae --prior fitted"):
        bundle.generate(1)


def test_a_decoder_alone_has_a_prior_for_programs_that_draw(run_of: Maker, tmp_path: Path) -> None:
    options = ExportOptions("vae", tmp_path / "b", run_of(), parts=("decoder",), prior="fitted")
    exported = export(options)
    assert exported.manifest.prior is not None
    assert exported.manifest.prior.kind == "fitted"
    assert load(tmp_path / "b").generate(2).shape == (2, 1, 28, 28)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-m", "ae", "--part", "sampler"], "ae learns no distribution of its latents: fit one"),
        (["-m", "vae", "--part", "encoder", "--prior", "fitted"], "add --part sampler"),
        (["-m", "vae", "--part", "sampler", "--opset", "17"], "bitwise operators of opset 18"),
        (["-m", "vae", "--temperature", "0"], "'--temperature': 0.0 is not in the range x>0"),
        (["-m", "vae", "--prior", "fited"], "Did you mean 'fitted'?"),
        (["-m", "vae", "--part", "sampler", "--precision", "int8"], "the sampler has one form"),
    ],
)
def test_contradictions_are_refused(
    aeonnx: Callable[..., Result], run_of: Maker, arguments: list[str], text: str
) -> None:
    result = aeonnx("export", *arguments, "--checkpoint", run_of(arguments[1]), "-o", "b")
    assert result.exit_code == 2
    assert text in result.stderr
    assert not Path("b").exists()


def test_older_opsets_leave_the_sampler_out_and_say_so(
    aeonnx: Callable[..., Result], run_of: Maker
) -> None:
    result = aeonnx("export", "-m", "vae", "--checkpoint", run_of(), "-o", "b", "--opset", "15")
    assert result.exit_code == 0
    assert "sampler left out: it needs the bitwise operators of opset 18" in result.stdout
    assert not [*Path("b").glob("sampler.*")]


def test_a_sampler_that_draws_otherwise_is_refused(
    run_of: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sampler_export.sampler_graph

    def other_multiplier(*given: object) -> onnx.ModelProto:
        graph = real(*given)  # type: ignore[arg-type]
        for tensor in graph.graph.initializer:
            if tensor.name == "m0":
                wrong = onnx.numpy_helper.to_array(tensor) ^ np.uint64(2)
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(wrong), "m0"))
        return graph

    monkeypatch.setattr(sampler_export, "sampler_graph", other_multiplier)
    with pytest.raises(ParityError, match=r"sampler\.z \(fp32\): max abs"):
        export(ExportOptions("vae", tmp_path / "b", run_of(), parts=("sampler",)))
    assert not (tmp_path / "b").exists()
