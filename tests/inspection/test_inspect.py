"""`aeonnx inspect` on real bundles, on edited ones, and on the page of a hostile one."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from click.testing import Result
from onnx import helper, numpy_helper
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file
from torch import nn

import aeonnx as package
from aeonnx.bundle import Axis, TensorSpec, manifest, summary
from aeonnx.cli.tables import show
from aeonnx.errors import AeonnxError, IntegrityError
from aeonnx.exporting import ExportOptions, export
from aeonnx.models import Part
from aeonnx.tools.inspection import read_graph, write_page
from tests.support import graph_file, weights_file

Cli = Callable[..., Result]
Maker = Callable[..., Path]
Edit = Callable[[dict[str, Any]], None]


def edit_manifest(bundle: Path, edit: Edit) -> None:
    path = bundle / "manifest.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def put_graph(bundle: Path, part: str, data: bytes) -> None:
    """Replace a part's graph, with its digest."""
    graph_file(bundle, part).write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    known = {"sha256": digest, "bytes": len(data)}
    edit_manifest(bundle, lambda m: m["parts"][part]["fp32"].update(known))


def page_of(bundle: Path, target: Path) -> str:
    write_page(bundle, target, force=True)
    return target.read_text()


def graphs_of(page: str) -> dict[str, list[list[str]]]:
    """The cells of the nodes of each graph, by the title of its table; they must be well formed."""
    found = {}
    for text in re.findall(r"<details>.*?</details>", page, re.DOTALL):
        details = ET.fromstring(text)
        rows = [[cell.text or "" for cell in row.iter("td")] for row in details.iter("tr")]
        found[details.findtext("summary") or ""] = [row for row in rows if row]
    return found


def test_variants_are_told_apart(aeonnx: Cli, bundle_copy: Path) -> None:
    def add(document: dict[str, Any]) -> None:
        variants = document["parts"]["decoder"]
        variants["fp16"] = {**variants["fp32"], "sha256": "f" * 64}

    edit_manifest(bundle_copy, add)
    out = aeonnx("inspect", bundle_copy).stdout
    assert re.search(r"^decoder +fp16 +decoder\.\w{12}\.onnx .* f{12}\s*$", out, re.MULTILINE)
    assert re.search(r"^decoder +fp32, fp16 +in +z ", out, re.MULTILINE)
    assert re.search(r"^✓ +decoder +fp16 +reconstruction ", out, re.MULTILINE)


def test_an_error_beyond_its_tolerance_is_marked(aeonnx: Cli, bundle_copy: Path) -> None:
    def spoil(document: dict[str, Any]) -> None:
        document["parts"]["decoder"]["fp32"]["parity"]["reconstruction"][0]["error"] = 0.5

    edit_manifest(bundle_copy, spoil)
    out = aeonnx("inspect", bundle_copy).stdout
    assert re.search(r"^✗ +decoder ", out, re.MULTILINE)
    assert re.search(r"^✓ +encoder ", out, re.MULTILINE)


def test_graph_lists_nodes_with_shapes(aeonnx: Cli, bundle_of: Maker) -> None:
    out = aeonnx("inspect", bundle_of(), "--graph", "encoder").stdout
    model = onnx.load(graph_file(bundle_of(), "encoder"))
    for index, node in enumerate(model.graph.node):
        assert re.search(rf"^ +{index}  {node.op_type}  {node.name}\b", out, re.MULTILINE)
    assert "x float32 [batch, 1, 28, 28], " in out
    assert "-> mu float32 [batch, 20]" in out
    assert "transB=1" in out
    assert re.search(r"float32 \[400, 784\] +313,600 +1,254,400", out)
    # The axis behind a Reshape is the batch still.
    assert "?" not in out


@pytest.mark.parametrize(
    "model", [("vae", "mlp"), pytest.param(("dae", "conv"), marks=pytest.mark.slow)]
)
def test_parameters_are_those_of_the_checkpoint(
    aeonnx: Cli, bundle_of: Maker, run_of: Maker, model: tuple[str, str]
) -> None:
    out = aeonnx("inspect", bundle_of(*model), "--graph", "decoder", "--json").stdout
    document = json.loads(out)
    weights = load_file(weights_file(run_of(*model))).items()
    learned = [value for name, value in weights if name.startswith("decoder.")]
    graph = onnx.load(graph_file(bundle_of(*model), "decoder")).graph
    arrays = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    assert (document["part"], document["variant"]) == ("decoder", "fp32")
    assert document["bytes"] == sum(array.nbytes for array in arrays.values())
    for item in document["initializers"]:
        assert tuple(item["shape"]) == arrays[item["name"]].shape
    if model[1] == "mlp":  # the exporter folds BatchNorm into convolutions
        assert document["parameters"] == sum(value.numel() for value in learned)
    assert sum(document["ops"].values()) == len(document["nodes"]) == len(graph.node)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--graph", "decodr"], 2, "unknown part 'decodr'. Did you mean 'decoder'? Known: decoder"),
        (["--graph", "decoder", "--variant", "fp31"], 2, "unknown variant of decoder 'fp31'. Did"),
        (["--variant", "fp32"], 2, "--variant needs --graph, which names the part"),
        (["--force"], 2, "--force needs --html, which names the file to replace"),
        (["--graph", "decoder", "--html", "x.html"], 2, "--graph and --html do not go together"),
        (["--html", "old.html"], 1, "old.html exists already: pass --force"),
    ],
)
def test_mistakes_are_told_in_words(
    aeonnx: Cli, bundle_of: Maker, arguments: list[str], code: int, text: str
) -> None:
    Path("old.html").write_text("old")
    result = aeonnx("inspect", bundle_of(), *arguments)
    assert text in result.stderr
    assert result.exit_code == code
    assert [path.name for path in Path().iterdir()] == ["old.html"]
    assert Path("old.html").read_text() == "old"


@pytest.mark.parametrize("arguments", [("--graph", "decoder"), ("--html", "x.html")])
def test_a_changed_graph_is_refused(
    aeonnx: Cli, bundle_copy: Path, arguments: tuple[str, ...]
) -> None:
    with graph_file(bundle_copy, "decoder").open("ab") as file:
        file.write(b"\0")
    result = aeonnx("inspect", bundle_copy, *arguments)
    assert ".onnx is not the file that the manifest names: expected " in result.stderr
    assert result.exit_code == 1
    assert not Path("x.html").exists()


EMPTY = onnx.ModelProto(graph=onnx.GraphProto(name="empty"))
# A name that is not UTF-8, which onnx repeats in its error.
UNNAMED = onnx.helper.make_model(
    onnx.helper.make_graph([onnx.helper.make_node("Odd", ["x"], ["y"])], "g", [], [])
)
BYTES = UNNAMED.SerializeToString().replace(b"Odd", b"\xc7dd")


@pytest.mark.parametrize("data", [b"hello", EMPTY.SerializeToString(), BYTES])
def test_what_is_no_graph_is_refused_in_words(aeonnx: Cli, bundle_copy: Path, data: bytes) -> None:
    put_graph(bundle_copy, "decoder", data)
    words = r"decoder\.\w+\.onnx is not (an|a valid) ONNX graph: .*Export"
    with pytest.raises(IntegrityError, match=words):
        read_graph(bundle_copy, "decoder")
    result = aeonnx("inspect", bundle_copy, "--html", "x.html")
    assert result.exit_code == 1
    assert re.search(words, result.stderr)
    assert not Path("x.html").exists()


def renamed(data: bytes) -> bytes:
    """A graph that is valid but for a node's name, which is not UTF-8."""
    model = onnx.load_model_from_string(data)
    model.graph.node[0].name = "odd name"
    return model.SerializeToString().replace(b"odd name", b"odd\xc7name")


def test_a_name_that_is_not_utf8_is_refused(aeonnx: Cli, bundle_copy: Path) -> None:
    put_graph(bundle_copy, "decoder", renamed(graph_file(bundle_copy, "decoder").read_bytes()))
    for words in (("--graph", "decoder"), ("--html", "x.html")):
        result = aeonnx("inspect", bundle_copy, *words)
        assert result.exit_code == 1
        assert (
            r"is not a valid ONNX graph: the name b'odd\xc7name' is not UTF-8. Exp" in result.stderr
        )
    assert not Path("x.html").exists()


def test_a_type_that_onnx_does_not_know_is_unknown(bundle_copy: Path) -> None:
    model = onnx.load(graph_file(bundle_copy, "decoder"))
    made = model.graph.node[0].output[0]
    model.graph.value_info.append(helper.make_tensor_value_info(made, 99, [1]))
    put_graph(bundle_copy, "decoder", model.SerializeToString())
    values = [value for node in read_graph(bundle_copy, "decoder").nodes for value in node.outputs]
    (value,) = [value for value in values if value.name == made]
    assert (value.dtype, value.shape) == (None, None)


def test_a_weight_of_a_type_that_onnx_does_not_know_is_refused(bundle_copy: Path) -> None:
    """onnx's checker accepts it."""
    model = onnx.load(graph_file(bundle_copy, "decoder"))
    model.graph.initializer.add(name="odd", data_type=99, dims=[1], raw_data=b"1234")
    put_graph(bundle_copy, "decoder", model.SerializeToString())
    with pytest.raises(IntegrityError, match="valid ONNX graph: odd: onnx has no element type 99"):
        read_graph(bundle_copy, "decoder")


def test_whatever_bytes_are_damaged_is_told_in_words(bundle_copy: Path) -> None:
    data = graph_file(bundle_copy, "decoder").read_bytes()
    rng, told = random.Random(0), 0
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(rng.choice((1, 3))):
            place = rng.choice((rng.randrange(2000), len(data) - 1 - rng.randrange(1000)))
            damaged[place] = rng.randrange(256)
        put_graph(bundle_copy, "decoder", bytes(damaged))
        try:
            read_graph(bundle_copy, "decoder")
        except AeonnxError:
            told += 1
    assert told


def test_page_shows_the_golden_pictures(bundle_of: Maker, tmp_path: Path) -> None:
    page = page_of(bundle_of(), tmp_path / "vae.html")
    encoded = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(encoded) == 2  # of the reconstructor, and what the sampler drew
    with Image.open(io.BytesIO(base64.b64decode(encoded[0]))) as picture:
        pixels = np.asarray(picture)
    bundle = package.load(bundle_of())
    golden = bundle.variant("reconstructor").golden[0]
    for row, tensor in enumerate((golden.inputs["x"], golden.outputs["reconstruction"])):
        expected = (bundle.read_golden(tensor)[2, 0] * 255).round()
        top, left = 2 + row * 30, 2 + 2 * 30
        np.testing.assert_array_equal(pixels[top : top + 28, left : left + 28], expected)
    for text in ("vae (mlp)", "mean of the latent given the image", "negative elbo", "noise floor"):
        assert text in page.replace("&#x27;", "'")


def test_page_of_a_decoder_alone_shows_what_it_decodes(bundle_copy: Path, tmp_path: Path) -> None:
    def keep(document: dict[str, Any]) -> None:
        document["parts"] = {"decoder": document["parts"]["decoder"]}

    edit_manifest(bundle_copy, keep)
    page = page_of(bundle_copy, tmp_path / "vae.html")
    assert page.count("data:image/png") == 1
    assert 'alt="decoder: mean of the images"' in page
    assert len(graphs_of(page)) == 1


def test_page_of_an_encoder_alone_has_no_picture(bundle_copy: Path, tmp_path: Path) -> None:
    def keep(document: dict[str, Any]) -> None:
        document["parts"] = {"encoder": document["parts"]["encoder"]}

    edit_manifest(bundle_copy, keep)
    page = page_of(bundle_copy, tmp_path / "vae.html")
    assert "Pictures" not in page
    assert "data:image" not in page


def test_same_bundle_same_page_and_force_replaces(
    aeonnx: Cli, bundle_of: Maker, bundle_copy: Path
) -> None:
    assert aeonnx("inspect", bundle_of(), "--html", "a.html").exit_code == 0
    result = aeonnx("inspect", bundle_copy, "--html", "b.html", "--json")
    size = Path("b.html").stat().st_size
    assert json.loads(result.stdout) == {"output": "b.html", "bytes": size}
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()
    Path("a.html").write_text("old")
    assert aeonnx("inspect", bundle_of(), "--html", "a.html", "--force").exit_code == 0
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()


@pytest.mark.parametrize(
    "model", [("vae", "mlp"), pytest.param(("dae", "conv"), marks=pytest.mark.slow)]
)
def test_page_lists_the_nodes_of_every_graph(
    bundle_of: Maker, tmp_path: Path, model: tuple[str, str]
) -> None:
    """With the file to open in Netron."""
    page = page_of(bundle_of(*model), tmp_path / "page.html")
    found = graphs_of(page)
    parts = package.load(bundle_of(*model)).manifest.parts
    files = {f"{part}, fp32: {variants['fp32'].file}" for part, variants in parts.items()}
    assert found.keys() == files
    for title, rows in found.items():
        graph = onnx.load(bundle_of(*model) / title.rpartition(" ")[2]).graph
        assert [row[1:3] for row in rows] == [[node.op_type, node.name] for node in graph.node]
        assert [int(row[0]) for row in rows] == [*range(len(rows))]
        for row, node in zip(rows, graph.node, strict=True):
            for cell, names in ((row[3], node.input), (row[4], node.output)):
                assert [line.partition(" ")[0] for line in cell.split("\n")] == [
                    name or "-" for name in names
                ]
    assert '<a href="https://netron.app"' in page
    assert "<code>netron -b FILE</code>" in page


def test_page_says_dtypes_shapes_and_attributes(bundle_of: Maker, tmp_path: Path) -> None:
    page = page_of(bundle_of(), tmp_path / "vae.html")
    rows = next(rows for name, rows in graphs_of(page).items() if name.startswith("encoder, "))
    (mu,) = [row for row in rows if row[4] == "mu float32 [batch, 20]"]
    assert mu[1] == "Slice"
    (hidden,) = [row for row in rows if "[400, 784]" in row[3]]
    assert re.search(r" float32 \[batch, 784\]\n.* float32 \[400, 784\]\n.* \[400\]$", hidden[3])
    assert "transB=1" in hidden[5].split("\n")
    assert "<dt>inputs</dt><dd>x float32 [batch, 1, 28, 28]</dd>" in page
    assert "<dt>outputs</dt><dd>mu float32 [batch, 20]\nlogvar float32 [batch, 20]</dd>" in page


class Tags(HTMLParser):
    """The elements of a page, and the addresses that it names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href")]


HOSTILE = (
    "</title></details><script>alert(1)</script><img src=http://evil.example onerror='x'>\"&$body"
)


def test_a_hostile_bundle_cannot_add_to_the_page(
    bundle_copy: Path, bundle_of: Maker, tmp_path: Path
) -> None:
    model = onnx.load(graph_file(bundle_copy, "decoder"))
    for node in model.graph.node:
        node.name = HOSTILE
        node.output[:] = [f"{HOSTILE}{name}" for name in node.output]
        node.input[:] = [
            name
            if name in {"z", *(item.name for item in model.graph.initializer)}
            else f"{HOSTILE}{name}"
            for name in node.input
        ]
    model.graph.output[0].name = f"{HOSTILE}{model.graph.output[0].name}"
    put_graph(bundle_copy, "decoder", model.SerializeToString())

    def spoil(document: dict[str, Any]) -> None:
        document["model"] = document["arch"] = HOSTILE
        document["tools"] = {HOSTILE: HOSTILE}
        document["training"]["metrics"] = {HOSTILE: 1.0}
        document["training"]["data"] = HOSTILE
        for variants in document["parts"].values():
            for spec in (*variants["fp32"]["inputs"], *variants["fp32"]["outputs"]):
                spec["description"] = HOSTILE

    edit_manifest(bundle_copy, spoil)
    honest = Tags(page_of(bundle_of(), tmp_path / "honest.html"))
    page = page_of(bundle_copy, tmp_path / "hostile.html")
    hostile = Tags(page)
    assert "&lt;script&gt;alert(1)" in page
    assert hostile.seen == honest.seen
    assert hostile.attributes == honest.attributes
    assert "script" not in hostile.seen
    links = [address for address in hostile.addresses if not address.startswith("data:image/png;")]
    assert links == ["https://netron.app"]
    assert len(graphs_of(page)) == len(graphs_of((tmp_path / "honest.html").read_text()))


def test_shapes_follow_the_batch(bundle_copy: Path) -> None:
    """What is twice the batch says so; what depends on values is unknown."""
    model = onnx.load(graph_file(bundle_copy, "decoder"))
    extra = [
        helper.make_node("Concat", ["z", "z"], ["double"], axis=0),
        helper.make_node("NonZero", ["z"], ["places"]),
    ]
    model.graph.node.extend(extra)
    put_graph(bundle_copy, "decoder", model.SerializeToString())
    outputs = [node.outputs[0] for node in read_graph(bundle_copy, "decoder").nodes]
    shapes = {value.name: (value.dtype, value.shape) for value in outputs}
    assert shapes["double"] == ("float32", ("2*batch", 20))
    assert shapes["places"] == ("int64", (2, "?"))


@pytest.mark.parametrize("width", [40, 80, 100, 120, 300])
def test_no_width_of_a_terminal_cuts_a_cell(variants: Path, width: int) -> None:
    contents = manifest.read(variants)
    for content in summary.tables(contents).values():
        console = Console(file=io.StringIO(), width=width, highlight=False, markup=False)
        show(console, content)
        shown = console.file.getvalue()  # type: ignore[attr-defined]
        assert "…" not in shown
        together = "".join(shown.split())
        for row in content.rows:
            for cell in row:
                assert all(word in together for word in cell.split()), (cell, shown)


def test_sizes_kinds_rates_and_columns_are_shown(aeonnx: Cli, tmp_path: Path) -> None:
    options = ExportOptions("things", tmp_path / "b", from_source=f"module:{__name__}:things")
    export(options)
    out = " ".join(aeonnx("inspect", "b").stdout.split())
    assert "encoder frames multiples of 4, 8 to 400 " in out
    assert "float32 [batch, 1, 2*frames] signal, 50 Hz [-1, 1]" in out
    assert "float32 [batch, 2] vector any heat K, pressure" in out
    for size in (8, 100):
        assert f" {size} " in out.partition("inputs")[2]  # the sizes at which it was compared
    aeonnx("inspect", "b", "--html", "b.html")
    page = (tmp_path / "b.html").read_text()
    for text in ("multiples of 4, 8 to 400", "signal, 50 Hz", "heat K, pressure"):
        assert text in page


class Things(nn.Module):
    """A signal to numbers of it, and a row of a table to itself."""

    def parts(self) -> dict[str, Part]:
        x = TensorSpec("x", ("batch", 1, "2*frames"), range=(-1.0, 1.0), kind="signal", rate=50.0)
        z = TensorSpec("z", ("batch", 1, "frames"), kind="latent")
        names, units = ("heat", "pressure"), ("K", "")
        row = TensorSpec("row", ("batch", 2), kind="vector", names=names, units=units)
        same = replace(row, name="same")
        axes = {"frames": Axis(4, min=8, max=400)}
        encoder = Part(nn.Conv1d(1, 1, 2, 2), (x,), (z,), axes=axes, sizes={"frames": 100})
        return {"encoder": encoder, "denoiser": Part(nn.Linear(2, 2), (row,), (same,))}


def things() -> nn.Module:
    torch.manual_seed(0)
    return Things()


def test_the_batches_of_the_comparison_are_told(aeonnx: Cli, bundle_of: Maker) -> None:
    folder = bundle_of()
    parts = manifest.read(folder).parts
    (batches,) = {variants["fp32"].parity_batches for variants in parts.values()}
    told = ", ".join(map(str, batches))
    assert f"compared   with torch at batches of {told}\n" in aeonnx("inspect", folder).stdout


def test_bounds_of_false_alarms_are_shown(
    aeonnx: Cli, bundle_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    normal = package.load(bundle_copy, ["cpu"]).variant("scorer").normal["error"]
    assert normal.held_out

    def rows() -> list[str]:
        shown = aeonnx("inspect", bundle_copy).stdout
        return [line for line in shown.splitlines() if re.match(r"scorer +fp32 +error +p9", line)]

    for line, (name, (low, high)) in zip(rows(), normal.false_alarms.items(), strict=True):
        assert f" {name} " in line
        assert line.rstrip().endswith(f" {100 * low:.2g} to {100 * high:.2g} %")

    def seen(document: dict[str, Any]) -> None:
        document["parts"]["scorer"]["fp32"]["normal"]["error"]["held_out"] = False

    edit_manifest(bundle_copy, seen)
    for line in rows():
        assert line.rstrip().endswith(" %, or more: the model was trained on these")
