"""The routes for pictures, rows and generated images, as curl uses them."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_wine

import aeonnx
from aeonnx.errors import OldRuntimeError
from aeonnx.exporting import ExportOptions, export
from aeonnx.io.images import png
from aeonnx.runtime.verification import verify_variant
from aeonnx.serving import Server, hub
from tests.serving.conftest import Maker, Reply, ask, running
from tests.support import few_rows

FORMS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")


def pixels_of(reply: Reply) -> np.ndarray:
    """The pixels of an answer [H, W] or [H, W, C]."""
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(reply.body)))


def encoded(pixels: np.ndarray, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def digits(bundle: Path, part: str = "encoder") -> np.ndarray:
    """The golden images of a part, float32 [n, 1, 28, 28]."""
    opened = aeonnx.load(bundle, ["cpu"])
    return opened.read_golden(opened.variant(part).golden[0].inputs["x"])


def test_a_picture_is_denoised_as_by_the_library(server: Server, denoiser: Path) -> None:
    x = (digits(denoiser, "denoiser")[:1] * 255).round().astype(np.uint8)
    found = pixels_of(ask(server.address, f"/denoise?bundle={denoiser.name}", png(x)))
    wanted = aeonnx.load(denoiser, ["cpu"]).denoise(x, pixels=True)
    np.testing.assert_array_equal(found, wanted[0, 0])


@pytest.mark.parametrize("shape", [(37, 53, 3), (37, 53, 4), (37, 53)])
def test_a_photograph_keeps_its_size_and_transparency(
    server: Server, sized: Path, shape: tuple[int, ...]
) -> None:
    given = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = pixels_of(ask(server.address, f"/denoise?bundle={sized.name}", encoded(given)))
    wanted = 255 - given
    if shape[-1] == 4:
        wanted[..., 3] = given[..., 3]
    np.testing.assert_array_equal(found, wanted)


def test_a_photograph_keeps_its_16_bits(server: Server, sized: Path) -> None:
    given = np.random.default_rng(0).integers(0, 65536, (21, 33)).astype(np.uint16)
    found = pixels_of(ask(server.address, f"/denoise?bundle={sized.name}", encoded(given)))
    assert np.abs(found.astype(int) - (65535 - given.astype(int))).max() <= 1


@pytest.mark.parametrize("form", FORMS)
def test_pictures_of_all_formats_are_read(server: Server, sized: Path, form: str) -> None:
    given = np.full((20, 30, 3), 40, np.uint8)
    found = pixels_of(ask(server.address, f"/denoise?bundle={sized.name}", encoded(given, form)))
    assert np.abs(found[..., :3].astype(int) - 215).max() <= 3


def test_strength_mixes_the_picture_with_its_result(server: Server, sized: Path) -> None:
    given = np.full((20, 30, 3), 40, np.uint8)
    path = f"/denoise?bundle={sized.name}&strength=0.5"
    found = pixels_of(ask(server.address, path, encoded(given)))
    assert set(np.unique(found)) <= {127, 128}


def test_generated_images_are_those_of_the_library(server: Server, bundle_of: object) -> None:
    folder = bundle_of()  # type: ignore[operator]
    found = ask(server.address, f"/generate?bundle={folder.name}&n=5&seed=7&first=3")
    wanted = aeonnx.load(folder, ["cpu"]).generate(5, seed=7, first=3, pixels=True)
    assert found.body == png(wanted)


def test_a_picture_is_scored_as_by_the_library(server: Server, bundle_of: object) -> None:
    folder = bundle_of()  # type: ignore[operator]
    x = (digits(folder)[:1] * 255).round().astype(np.uint8)
    reply = ask(server.address, f"/score?bundle={folder.name}&threshold=p95", png(x))
    wanted = aeonnx.load(folder, ["cpu"]).score(x, threshold="p95")
    assert reply.json == {"threshold": wanted.threshold, "rows": [wanted.row(0)]}


def test_rows_are_scored_in_all_forms_of_json(server: Server, rows: Path) -> None:
    data = load_wine()
    x = data.data[:3].astype(np.float32)
    x[1, 4] = np.nan
    wanted = aeonnx.load(rows, ["cpu"]).score(x)
    listed = [[None if np.isnan(v) else float(v) for v in row] for row in x]
    named = [dict(zip(data.feature_names, row, strict=True)) for row in listed]
    for document in (listed, named, [named[0], *listed[1:]]):
        path, body = f"/score?bundle={rows.name}", json.dumps(document).encode()
        reply = ask(server.address, path, body)
        assert reply.json == {
            "threshold": wanted.threshold,
            "rows": [wanted.row(place) for place in range(3)],
        }
    one = ask(server.address, f"/score?bundle={rows.name}", json.dumps(named[0]).encode()).json
    assert one["rows"] == [wanted.row(0)]


REFUSED = {
    "/denoise?bundle={dae}&strength=2": (400, "strength: expected a number from 0 to 1, got '2'"),
    "/denoise?bundle={dae}&strenght=1": (
        400,
        "unknown option 'strenght': expected strength, label, bundle",
    ),
    "/denoise?bundle={dae}&strength=1&strength=0": (
        400,
        "'strength': expected this option once, got it again",
    ),
    "/denoise?bundle=nowhere": (404, "bundle: expected one that can denoise: "),
    "/denoise": (400, "2 bundles here can denoise: choose one with ?bundle=: "),
    "/denoise?bundle={dae}&label=3": (400, "label: this bundle's denoiser takes none, leave it"),
    "/score?bundle={vae}&threshold=p42": (400, "threshold: expected p95, p99 or a number"),
}


@pytest.mark.parametrize("path", REFUSED)
def test_wrong_options_are_refused(
    server: Server, bundle_of: object, denoiser: Path, path: str
) -> None:
    names = {"vae": bundle_of().name, "dae": denoiser.name}  # type: ignore[operator]
    picture = png(np.zeros((1, 1, 28, 28), np.uint8))
    reply = ask(server.address, path.format(**names), picture)
    status, text = REFUSED[path]
    assert (reply.status, reply.json["error"][: len(text)]) == (status, text)


def test_many_options_are_refused_at_once(server: Server) -> None:
    query = "&".join(f"a{place}=" for place in range(8000))
    began = time.monotonic()
    assert ask(server.address, f"/generate?{query}").status == 400
    assert time.monotonic() - began < 1


def test_the_precision_is_chosen_before_the_server_is_ready(variants: Path) -> None:
    """By measuring: no request waits for that."""
    with running(variants, precision="auto") as server:
        (bundle,) = server.hub.bundles.values()
        assert re.search(r"decoder \((fp32|int8)\), encoder \((fp32|int8)\)", repr(bundle))


def test_a_part_that_is_too_new_is_named(bundle_of: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    def verify(bundle: aeonnx.Bundle, part: str, variant: str) -> object:
        if part == "decoder":
            raise OldRuntimeError("it needs onnxruntime 9")
        return verify_variant(bundle, part, variant)

    monkeypatch.setattr(hub, "verify_variant", verify)
    with running(bundle_of()) as server:
        assert not any("decoder" in name for name in ask(server.address, "/about").json["models"])
        reply = ask(server.address, "/generate")
        text = f"{bundle_of().name}.decoder needs a newer onnxruntime than this server has"
        assert (reply.status, reply.json) == (503, {"error": text})


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("n=0", "n: expected a whole number from 1 to 1024, got '0'"),
        ("n=1025", "n: expected a whole number from 1 to 1024, got '1025'"),
        ("seed=-1", "seed: expected a whole number from 0 to 9223372036854775807, got '-1'"),
        ("seed=1e3", "seed: expected a whole number from 0 to 9223372036854775807, got '1e3'"),
        ("seed=%D9%A3", "seed: expected a whole number from 0 to 9223372036854775807, got '٣'"),
        ("label=3", "label: this bundle's decoder takes none, leave it out"),
        ("size=28x28", "size: expected none, the images of this bundle have one size"),
        (
            "size=28y28",
            "size: expected HEIGHTxWIDTH, such as 64x48, or the length of a signal, got '28y28'",
        ),
    ],
)
def test_what_cannot_be_generated_is_refused(
    server: Server, bundle_of: object, query: str, text: str
) -> None:
    folder = bundle_of()  # type: ignore[operator]
    reply = ask(server.address, f"/generate?bundle={folder.name}&{query}")
    assert (reply.status, reply.json) == (400, {"error": text})


def test_what_is_no_picture_is_refused(server: Server, denoiser: Path, sized: Path) -> None:
    whole = encoded(np.zeros((28, 28), np.uint8))
    for body, status, text in (
        (b"", 415, "expected a PNG, JPEG, BMP, TIFF, WebP or GIF as the body"),
        (b"GIF", 415, "expected a PNG"),
        (whole[:40], 400, "the picture is not a readable PNG image"),
        (whole[:-20], 400, "the picture is not a readable PNG image: it is damaged or cut off"),
        (
            encoded(np.zeros((28, 29), np.uint8)),
            400,
            "the picture: expected 28x28 pixels, got 29x28: resize it first",
        ),
    ):
        reply = ask(server.address, f"/denoise?bundle={denoiser.name}", body)
        assert (reply.status, reply.json["error"][: len(text)]) == (status, text)
    for form in FORMS:  # no texts of decoders
        cut = encoded(np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8), form)[:-90]
        reply = ask(server.address, f"/denoise?bundle={sized.name}", cut)
        name = {"WEBP": "WebP"}.get(form, form)
        text = f"the picture is not a readable {name} image: it is damaged or cut off"
        assert (reply.status, reply.json) == (400, {"error": text})


def test_rows_that_do_not_fit_are_refused(server: Server, rows: Path) -> None:
    names = load_wine().feature_names
    expected = f"expected JSON rows of 13 numbers, or objects of {', '.join(names)}"
    for document, text in (
        ("[1, 2", f"{expected}, got no JSON: it is wrong at byte 5"),
        ("[]", f"{expected}, got none"),
        ("3", "scorer: x: expected float32 [batch, 13], got float32 [1, 1]"),
        ('{"alcohol": 3}', f"row 0: {expected}: 'malic_acid' is missing"),
        (json.dumps([[1] * 13, [1] * 12]), f"{expected}, got rows of several lengths"),
        (json.dumps([["x"] * 13]), f"{expected}, and null for a missing value, got others"),
        (
            json.dumps([["x" * 10**5] + [1] * 5000]),
            f"{expected}, and null for a missing value, got",
        ),
        ("[" * 900 + "]" * 900, f"{expected}, got rows of several lengths"),
        ('{"alcohol":' + "[" * 900 + "]" * 900 + "}", f"row 0: {expected}: 'malic_acid'"),
        (json.dumps([[True] * 13]), f"{expected}, and null for a missing value, got others"),
        (json.dumps([[None] * 13]), "scorer: x: expected float32 [batch, 13], got no value"),
        (json.dumps([[1e300] * 13]), "scorer: x: expected float32 [batch, 13], finite, got inf"),
        (json.dumps([[1] * 12]), "scorer: x: expected float32 [batch, 13], got float32 [1, 12]"),
    ):
        reply = ask(server.address, f"/score?bundle={rows.name}", document.encode())
        assert reply.status == 400, document
        assert reply.json["error"].startswith(text), reply.json


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(sized: Path) -> None:
    with running(sized, max_pixels=1000) as small:
        reply = ask(small.address, "/denoise", encoded(np.zeros((40, 30), np.uint8)))
        assert reply.json == {"error": "the picture has 30x40 pixels: expected at most 1000"}
        assert reply.status == 413
        assert ask(small.address, "/denoise", encoded(np.zeros((30, 30), np.uint8))).status == 200


def test_what_takes_more_memory_than_there_is_is_refused(
    sized: Path, scarce_memory: Callable[[], None]
) -> None:
    with running(sized) as found:
        scarce_memory()
        reply = ask(found.address, "/denoise", encoded(np.zeros((200, 200), np.uint8)))
        assert reply.status == 413
        assert reply.json["error"] == (
            "this takes more memory than the server has: send fewer rows at once, or a smaller "
            "picture"
        )
        assert ask(found.address, "/denoise", encoded(np.zeros((20, 20), np.uint8))).status == 200


def test_a_conditional_model_takes_labels_and_predicts_those_that_are_missing(
    conditional: Path,
) -> None:
    folder = conditional / "bundle"
    opened = aeonnx.load(folder, ["cpu"])
    with running(folder) as server:
        found = ask(server.address, f"/generate?n=3&seed=1&label={quote('7')}")
        assert found.body == png(opened.generate(3, seed=1, pixels=True, label=7))
        x = (digits(folder)[:1] * 255).round().astype(np.uint8)
        given = pixels_of(ask(server.address, "/reconstruct?label=3", png(x)))
        wanted = opened.reconstruct(x, pixels=True, label=3)
        np.testing.assert_array_equal(given, wanted[0, 0])
        free = pixels_of(ask(server.address, "/reconstruct", png(x)))
        best = opened.reconstruct(x, pixels=True, label=opened.predict_labels(x))
        np.testing.assert_array_equal(free, best[0, 0])
        wrong = ask(server.address, "/generate?label=eleven")
        assert wrong.status == 400
        assert wrong.json["error"].startswith("unknown label 'eleven'. Known: 0, 1, 2")
        none = ask(server.address, "/generate")
        assert none.status == 400
        assert none.json["error"] == "label: expected one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, got none"


def test_the_page_and_the_descriptions_are_there(server: Server) -> None:
    page = ask(server.address, "/")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for name in ("page.css", "page.mjs"):
        assert f'"{name}"'.encode() in page.body
        assert ask(server.address, f"/{name}").status == 200
    described = ask(server.address, "/openapi.json").json
    assert described["openapi"].startswith("3.1")
    assert b"/v2/models/{model}/infer" in ask(server.address, "/docs").body


def test_the_page_offers_numbers_where_classes_have_no_names(tmp_path: Path) -> None:
    folder = tmp_path / "unnamed"
    export(ExportOptions("c", folder, from_source="module:clients.proof.external:conditional"))
    with running(folder) as server:
        (offered,) = ask(server.address, "/about").json["verbs"]["generate"]
        classes = [str(n) for n in range(10)]
        assert offered == {"name": "unnamed", "classes": classes, "size": None}
        assert ask(server.address, "/generate?label=9").status == 200


@pytest.mark.parametrize("parts", [(), ("sampler",)])
def test_images_of_a_size_are_generated(tmp_path: Path, parts: tuple[str, ...]) -> None:
    with few_rows():
        source = "module:tests.exporting.test_sampler_sizes:Labelled"
        export(ExportOptions("c", tmp_path / "c", from_source=source, parts=parts))
    opened = aeonnx.load(tmp_path / "c", ["cpu"])
    with running(tmp_path / "c", max_pixels=10_000) as server:
        (offered,) = ask(server.address, "/about").json["verbs"]["generate"]
        assert offered["size"] == "256x260"
        found = ask(server.address, "/generate?n=2&seed=1&label=3&size=24x40")
        assert found.body == png(opened.generate(2, 1, size=(24, 40), label=3, pixels=True))
        for size, status, text in (
            ("24x42", 400, "size: expected a multiple of 4 for 4*columns, got 42"),
            ("404x40", 400, "size: rows: expected a size from 2 to 100, got 101: the nearest is"),
            ("104x100", 413, "size: expected images of at most 10000 pixels, got 100x104"),
        ):
            reply = ask(server.address, f"/generate?label=3&size={size}")
            assert reply.status == status
            assert reply.json["error"].startswith(text)
