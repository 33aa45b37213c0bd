"""Bundles that do not do what they say: told in words, before anything is read or written."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from onnx import numpy_helper

import aeonnx
from aeonnx.errors import BundleError, GraphError, IntegrityError, RunError
from aeonnx.runtime import Session, verify
from aeonnx.runtime.io_binding import CudaGraphRunner, IOBinding
from tests.hostile.sound import IMAGE, LATENT, Made, node, sound


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return sound(tmp_path / "bundle", tmp_path)


@pytest.fixture
def command(request: pytest.FixtureRequest) -> Callable[..., Result]:
    """The command line; `aeonnx` is the package here."""
    found: Callable[..., Result] = request.getfixturevalue("aeonnx")
    return found


def latents(rows: int = 6) -> np.ndarray:
    return np.ones((rows, LATENT), np.float32)


def lie(made: Made, part: str, how: str) -> None:
    """Put another node behind the last: the graph says its old shape still."""
    graph = made.graph(part)
    (output,) = graph.graph.output
    graph.graph.node[-1].output[0] = "real"
    for name, value in {"zero": 0, "three": 3}.items():
        graph.graph.initializer.append(numpy_helper.from_array(np.array([value]), name))
    inputs = {"Concat": ["real", "real"], "Slice": ["real", "zero", how and "three"]}
    if how == "none":
        inputs["Slice"][2] = "zero"
    op = "Concat" if how == "double" else "Slice"
    more = {"axis": 0} if op == "Concat" else {}
    graph.graph.node.append(node(op, inputs[op], [output.name], **more))
    made.put(part, graph)


GAVE = (
    r"decoder\.onnx gave reconstruction float32 \[{}, 1, 4, 4\], expected float32 \[{}, 1, 4, 4\]"
)


@pytest.mark.parametrize(("how", "rows"), [("double", 12), ("three", 3), ("none", 0)])
def test_other_rows_than_went_in_are_refused(made: Made, how: str, rows: int) -> None:
    lie(made, "decoder", how)
    made.write()
    bundle = aeonnx.load(made.folder, ["cpu"], max_batch=6)
    text = GAVE.format(rows, 6) + ": export the bundle again$"
    many = np.zeros((2000, *IMAGE), np.float32)
    for use in (
        lambda: bundle.decode(latents()),
        lambda: bundle.decode(latents(), pixels=True),
        lambda: bundle.decode(latents(), out=np.empty((6, *IMAGE), np.float32)),
        lambda: bundle.decode(latents(2000), out=many),
        lambda: bundle.decode(latents(2000)),
        lambda: bundle.run("decoder", z=latents()),
        lambda: bundle.generate(6),
    ):
        with pytest.raises(RunError, match=text):
            use()
    session, variant = bundle.session("decoder"), bundle.variant("decoder")
    bound = IOBinding(session, variant, 6)
    bound.set_inputs({"z": latents()})
    with pytest.raises(RunError, match=text):
        bound.run()
    with pytest.raises(RunError, match=GAVE.format(r"\d+", 8)):
        CudaGraphRunner(session, variant).values({"z": latents()}, ["reconstruction"])
    report = verify(bundle)
    assert any(re.search(GAVE.format(r"\d+", r"\d"), line) for line in report.failures)


@pytest.mark.parametrize("target", ["x.npy", "x.png", "x"])
def test_the_command_writes_nothing_then(
    command: Callable[..., Result], made: Made, target: str
) -> None:
    lie(made, "decoder", "three")
    made.write()
    np.save("z.npy", latents())
    done = command("decode", made.folder, "z.npy", "-o", target)
    assert done.exit_code == 1
    assert re.search(GAVE.format(3, 6), done.stderr)
    assert not Path(target).exists()


def test_another_dtype_or_no_array_is_refused(made: Made) -> None:
    """The check itself: onnxruntime, as it is, gives what it said that a graph gives."""
    made.write()
    bundle = aeonnx.load(made.folder, ["cpu"])
    session = bundle.session("decoder")
    for value, text in (
        (np.zeros((6, *IMAGE)), r"gave reconstruction float64 \[6, 1, 4, 4\], expected float32"),
        ([1], r"gave reconstruction no array, expected float32 \[6, 1, 4, 4\]"),
    ):
        session._run = lambda *_, value=value: [value]
        with pytest.raises(RunError, match=text):
            bundle.decode(latents())


@pytest.mark.parametrize("verb", ["verify", "decode", "inspect"])
def test_an_endless_loop_is_refused(command: Callable[..., Result], made: Made, verb: str) -> None:
    graph = made.graph("decoder")
    graph.graph.node.insert(0, node("Loop", ["", ""], []))
    made.put("decoder", graph)
    made.write()
    np.save("z.npy", latents())
    more = {
        "verify": [],
        "decode": ["z.npy", "-o", "x.npy"],
        "inspect": ["--graph", "decoder"],
    }[verb]
    done = command(verb, made.folder, *more)
    assert done.exit_code == 1
    assert "decoder.onnx: a bundle never holds a subgraph (Loop)" in done.stderr


def test_onnxruntimes_own_format_is_never_read(made: Made) -> None:
    """What was looked into is what runs: onnxruntime tells its format by four letters."""
    made.write()
    expected = aeonnx.load(made.folder, ["cpu"]).decode(latents())
    both = b"\x22\x06\x00\x00ORTM" + made.graphs["decoder"]  # a text of ModelProto holds them
    made.put("decoder", both)
    shutil.rmtree(made.folder)
    made.write()
    np.testing.assert_array_equal(aeonnx.load(made.folder, ["cpu"]).decode(latents()), expected)
    with pytest.raises(IntegrityError, match="onnxruntime .* refuses"):
        Session(made.path("decoder"), ["cpu"], data=b"\x00\x00\x00\x00ORTM" + bytes(100))


def entry(part: str, end: str, **changes: Any) -> Callable[[Made], None]:
    """Change what the manifest says of the first input or output of a part, rows stay."""

    def change(made: Made) -> None:
        variant = made.entry(part)
        spec = variant[end][0]
        spec.update(changes)
        stored = variant["golden"][0][end][spec["name"]]
        shape = [stored["shape"][0], *spec["shape"][1:]]
        stored.update(shape=shape, dtype=spec["dtype"])

    return change


X = np.ones((2, *IMAGE), np.float32)


@pytest.mark.parametrize(
    ("verb", "change", "text"),
    [
        (
            "denoise",
            entry("denoiser", "outputs", shape=["batch", 3, 4, 4]),
            "denoiser cannot denoise: expected reconstruction of the shape of x, image float32 "
            "[batch, 1, 4, 4], got image float32 [batch, 3, 4, 4]",
        ),
        (
            "denoise",
            entry("denoiser", "outputs", dtype="uint8", range=[0, 255]),
            "denoiser cannot denoise: expected reconstruction of the shape of x, image float32 "
            "[batch, 1, 4, 4], got image uint8 [batch, 1, 4, 4]",
        ),
        (
            "encode",
            entry("encoder", "outputs", name="z", kind="score", shape=["batch"]),
            "encoder cannot encode: expected an output of the kind latent, codes, vector or other, "
            "got z of score",
        ),
        (
            "reconstruct",
            entry("reconstructor", "inputs", shape=["batch", 16], kind="vector"),
            "reconstructor cannot reconstruct: expected reconstruction of the shape of x, vector "
            "float32 [batch, 16], got image float32 [batch, 1, 4, 4]",
        ),
        (
            "classify",
            lambda made: made.entry("classifier")["outputs"].reverse(),
            None,
        ),
        (
            "classify",
            entry("classifier", "inputs", shape=["batch", 3], kind="latent"),
            "classifier cannot classify: expected an input of the kind image, signal, volume, "
            "vector or other, got x of latent",
        ),
        (
            "generate",
            entry("decoder", "inputs", kind="image", shape=["batch", 1, 4, 4]),
            "decoder cannot decode: expected an input of the kind latent, codes, vector or other, "
            "got z of image",
        ),
    ],
)
def test_a_part_that_a_verb_cannot_use_is_refused(
    made: Made, verb: str, change: Callable[[Made], None], text: str | None
) -> None:
    """From the manifest alone: no graph is opened, and none is there."""
    change(made)
    made.write()
    bundle = aeonnx.load(made.folder, ["cpu"])
    if text is None:
        bundle.require(verb)
        return
    for part in made.graphs:
        made.path(part).unlink()
    argument = {"decode": latents(), "generate": 2}.get(verb, X)
    for use in (lambda: bundle.require(verb), lambda: getattr(bundle, verb)(argument)):
        with pytest.raises(BundleError) as e:
            use()
        assert str(e.value) == f"this bundle's {text}"


@pytest.mark.parametrize(
    ("verb", "part", "arguments"),
    [
        ("denoise", "denoiser", ["missing.png"]),
        ("classify", "classifier", ["missing.png"]),
        ("decode", "decoder", ["missing.npy"]),
        ("generate", "decoder", []),
    ],
)
def test_the_command_looks_at_the_part_before_the_picture(
    command: Callable[..., Result], made: Made, verb: str, part: str, arguments: list[str]
) -> None:
    kind = "image" if part == "decoder" else "latent"
    shape = ["batch", 1, 8, 8] if part == "decoder" else ["batch", 3]
    entry(part, "inputs", shape=shape, kind=kind)(made)
    made.write()
    done = command(verb, made.folder, *arguments, "-o", "out.npy")
    assert done.exit_code == 1
    used = "decode" if part == "decoder" else verb
    assert f"Error: this bundle's {part} cannot {used}: expected " in done.stderr
    assert not list(Path().iterdir()) or [path.name for path in Path().iterdir()] == ["bundle"]


def without_decoder(change: Callable[[dict[str, Any]], None]) -> Callable[[Made], None]:
    def changed(made: Made) -> None:
        made.remove("decoder")
        change(made.entry("sampler"))

    return changed


def renamed(variant: dict[str, Any]) -> None:
    variant["outputs"][0]["name"] = "picture"
    variant["golden"][0]["outputs"]["picture"] = variant["golden"][0]["outputs"].pop("image")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (without_decoder(renamed), "expected an output image, got picture"),
        (
            without_decoder(
                lambda v: (
                    v["outputs"][0].update(dtype="float32"),
                    v["golden"][0]["outputs"]["image"].update(dtype="float32"),
                )
            ),
            "expected image uint8 [batch, 1, 4, 4], got float32 [batch, 1, 4, 4]",
        ),
        (
            without_decoder(lambda v: (v["inputs"].pop(0), v["golden"][0]["inputs"].pop("seed"))),
            "expected an input of the kind seed, got index of index",
        ),
        (
            without_decoder(
                lambda v: (
                    v["inputs"][0].update(shape=[2]),
                    v["golden"][0]["inputs"]["seed"].update(shape=[2]),
                )
            ),
            "expected seed int64 [1], got int64 [2]",
        ),
    ],
)
def test_a_sampler_that_cannot_generate_is_refused(
    made: Made, change: Callable[[Made], None], text: str
) -> None:
    change(made)
    made.write()
    with pytest.raises(BundleError) as e:
        aeonnx.load(made.folder, ["cpu"]).generate(2)
    assert str(e.value) == f"this bundle's sampler cannot generate: {text}"


def test_a_bundle_that_was_replaced_says_so(made: Made) -> None:
    made.write()
    bundle = aeonnx.load(made.folder, ["cpu"])
    before = bundle.decode(latents())
    path = made.folder / "manifest.json"
    path.write_text(path.read_text().replace('"tiny"', '"other"'))
    assert bundle.encode(X).shape == (2, LATENT), "files that are the same do"
    made.path("denoiser").unlink()
    text = "bundle: the bundle was replaced since it was loaded: call aeonnx.load again"
    with pytest.raises(IntegrityError, match=text):
        bundle.denoise(X)
    stored = bundle.variant("denoiser").golden[0].inputs["x"]
    (made.folder / stored.file).write_bytes(b"1")
    with pytest.raises(IntegrityError, match=text):
        bundle.read_golden(stored)
    np.testing.assert_array_equal(bundle.decode(latents()), before)


def test_without_another_manifest_a_missing_file_is_missing(made: Made) -> None:
    made.write()
    bundle = aeonnx.load(made.folder, ["cpu"])
    made.path("denoiser").unlink()
    with pytest.raises(IntegrityError, match=r"denoiser.onnx is missing, though the manifest"):
        bundle.denoise(X)


def test_other_domains_are_refused(made: Made) -> None:
    graph = made.graph("encoder")
    graph.graph.node[0].domain = "com.microsoft"
    made.put("encoder", graph)
    made.write()
    with pytest.raises(GraphError, match='never holds operators of the domain "com.microsoft"'):
        aeonnx.load(made.folder, ["cpu"]).encode(X)
