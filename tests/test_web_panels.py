"""`aeonnx demo --web --bundle`: the panels of the page follow from the parts of the bundles."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import Result

from aeonnx.bundle import TensorSpec, manifest
from aeonnx.tools.web.panels import _RULES
from tests.support import graph_file

Aeonnx = Callable[..., Result]
Maker = Callable[..., Path]


def panels(site: Path) -> list[tuple[str, str, str, list[str], str | None]]:
    """The panels of a page: name, bundle, part, variants, sample images."""
    fields = ("panel", "bundle", "part", "variants", "samples")
    found = json.loads((site / "bundles.json").read_text())
    assert all(sorted(panel) == sorted(fields) for panel in found)
    return [tuple(panel[name] for name in fields) for panel in found]  # type: ignore[misc]


@pytest.mark.usefixtures("engine")
def test_a_bundle_of_ones_own_is_shown_and_nothing_trained(
    denoiser: Path, aeonnx: Aeonnx, tmp_path: Path
) -> None:
    result = aeonnx("demo", "--build-only", "--bundle", denoiser, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"page": "aeonnx-demo/web"}
    assert result.stderr == ""
    demo = tmp_path / "aeonnx-demo"
    assert [path.name for path in demo.iterdir()] == ["web"]
    assert not (demo / "web/digits.png").exists()
    assert panels(demo / "web") == [
        ("denoise", "1", "denoiser", ["fp32", "fp32-uint8"], None),
    ]
    assert aeonnx("verify", demo / "web/bundles/1").exit_code == 0


@pytest.mark.usefixtures("engine")
def test_of_bundles_with_the_same_panel_the_first_has_it(
    denoiser: Path, variants: Path, bundle_of: Maker, aeonnx: Aeonnx, tmp_path: Path
) -> None:
    autoencoder, generator = variants, bundle_of()
    words = [word for one in (denoiser, autoencoder, generator) for word in ("--bundle", one)]
    result = aeonnx("demo", "--build-only", *words)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == f"The panel latents shows {autoencoder}, and so not {generator}.\n"
    site = tmp_path / "aeonnx-demo/web"
    assert [panel[:3] for panel in panels(site)] == [
        ("denoise", "1", "denoiser"),
        ("latents", "2", "decoder"),
        ("generate", "3", "sampler"),
    ]
    served = {name: manifest.read(site / "bundles" / name).parts.keys() for name in "123"}
    assert served == {"1": {"denoiser"}, "2": {"decoder"}, "3": {"sampler"}}


@pytest.mark.usefixtures("no_cache")
def test_a_bundle_that_others_leave_no_panel_is_refused(
    variants: Path, bundle_of: Maker, aeonnx: Aeonnx, tmp_path: Path
) -> None:
    first, second = bundle_of(), variants
    result = aeonnx("demo", "--web", "--port", 0, "--bundle", first, "--bundle", second)
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: {second}: expected a panel that no bundle before it has, but latents shows "
        f"{first}: leave one of them out\n"
    )
    assert not (tmp_path / "aeonnx-demo").exists()


NEEDED = (
    "expected a part that the page can show, with images in uint8, or in float32 with a range: a "
    "denoiser of grey images of one size; a denoiser of grey or RGB images of any size; a decoder "
    "of a vector [batch, n] to grey or RGB images of one size; a sampler of grey or RGB images. "
    "Got "
)


@pytest.mark.usefixtures("no_cache")
@pytest.mark.parametrize(
    ("parts", "change", "got"),
    [
        (("encoder", "scorer"), {}, "encoder; scorer"),
        (
            ("decoder",),
            {"range": None},
            "decoder of z latent float32 [batch, 20] to reconstruction image float32 "
            "[batch, 1, 28, 28] without a range",
        ),
        (
            ("decoder", "encoder"),
            {"kind": "other"},
            "decoder of z latent float32 [batch, 20] to reconstruction other float32 "
            "[batch, 1, 28, 28]; encoder",
        ),
    ],
)
def test_a_bundle_that_no_panel_can_show_is_refused(
    bundle_copy: Path,
    aeonnx: Aeonnx,
    tmp_path: Path,
    parts: tuple[str, ...],
    change: dict[str, object],
    got: str,
) -> None:
    """Before npm is asked for anything."""
    path = bundle_copy / "manifest.json"
    document = json.loads(path.read_text())
    document["parts"] = {name: document["parts"][name] for name in parts}
    if change:
        document["parts"]["decoder"]["fp32"]["outputs"][0].update(change)
    path.write_text(json.dumps(document))
    result = aeonnx("demo", "--build-only", "--bundle", bundle_copy)
    assert result.exit_code == 1
    assert result.stderr == f"Error: {bundle_copy}: {NEEDED}{got}\n"
    assert not (tmp_path / "aeonnx-demo").exists()


@pytest.mark.parametrize(
    ("sizes", "channels", "panel"),
    [
        ((28, 28), 1, "denoise"),
        ((28, 28), 3, None),
        (("height", "width"), 1, "photo"),
        (("height", "width"), 3, "photo"),
        (("height", "width"), 4, None),
        (("height", 28), 1, None),
    ],
)
def test_sizes_and_channels_decide_which_panel_a_denoiser_has(
    sizes: tuple[int | str, int | str], channels: int, panel: str | None
) -> None:
    shape = ("batch", channels, *sizes)
    x, y = (TensorSpec(name, shape, range=(-1, 1), kind="image") for name in ("x", "y"))
    fitting = [
        rule.panel
        for rule in _RULES
        if rule.part == "denoiser" and rule.fits(SimpleNamespace(inputs=(x,), outputs=(y,)))  # type: ignore[arg-type]
    ]
    assert fitting == ([panel] if panel else [])


SIZES = ("height", "width")
SEED = TensorSpec("seed", (1,), "int64", kind="seed")
INDEX = TensorSpec("index", ("batch",), "int64", kind="index")
LABEL = TensorSpec("label", ("batch",), "int64", kind="label")
CANVAS = TensorSpec("canvas", ("batch", *SIZES), "uint8", kind="canvas")


@pytest.mark.parametrize(
    ("inputs", "shape", "fits"),
    [
        ((SEED, INDEX), (3, 28, 28), True),
        ((SEED, INDEX, LABEL), (3, 28, 28), True),
        ((SEED, INDEX, CANVAS), (1, *SIZES), True),
        ((SEED, INDEX, CANVAS, LABEL), (3, *SIZES), True),
        ((SEED, INDEX, CANVAS), (2, *SIZES), False),
        ((SEED, INDEX, CANVAS), (1, *SIZES[::-1]), False),
        ((SEED, INDEX, CANVAS), (1, 28, 28), False),
        ((SEED, INDEX, CANVAS, replace(CANVAS, name="more")), (1, *SIZES), False),
        ((SEED, INDEX, replace(CANVAS, dtype="float32")), (1, *SIZES), False),
        ((SEED, INDEX), (1, *SIZES), False),
        ((SEED, CANVAS), (1, *SIZES), False),
    ],
)
def test_a_sampler_of_images_of_any_size_has_a_canvas(
    inputs: tuple[TensorSpec, ...], shape: tuple[int | str, ...], fits: bool
) -> None:
    image = TensorSpec("image", ("batch", *shape), "uint8", (0, 255), kind="image")
    (rule,) = (rule for rule in _RULES if rule.part == "sampler")
    assert rule.fits(SimpleNamespace(inputs=inputs, outputs=(image,))) is fits  # type: ignore[arg-type]


@pytest.mark.usefixtures("engine")
def test_a_damaged_bundle_of_ones_own_is_refused(
    bundle_copy: Path, aeonnx: Aeonnx, tmp_path: Path
) -> None:
    assert aeonnx("demo", "--build-only", "--bundle", bundle_copy).exit_code == 0
    site = tmp_path / "aeonnx-demo/web"
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    graph = graph_file(bundle_copy, "sampler")
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    result = aeonnx("demo", "--build-only", "--bundle", bundle_copy)
    assert result.exit_code == 1
    assert f"{graph} is not the file that the manifest names" in result.stderr
    assert before == {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("no_cache")
def test_a_bundle_that_is_not_there_is_said(aeonnx: Aeonnx) -> None:
    result = aeonnx("demo", "--build-only", "--bundle", "nowhere")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: no bundle at nowhere: it is not a folder.")


def test_a_bundle_is_for_the_page(aeonnx: Aeonnx, denoiser: Path) -> None:
    result = aeonnx("demo", "--bundle", denoiser)
    assert result.exit_code == 2
    assert "--bundle is shown on the page: give --web too" in result.stderr
