"""The browser page where a bundle is hostile: it says so in words, and does nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.clients.browser import opened
from tests.clients.damaged import of_others

pytestmark = pytest.mark.clients

Document = dict[str, Any]
HTML = "<img src=x onerror=alert(1)>"
FUNCTIONS = b"\xca\x01\x00"  # a model's field 25, empty


def change(folder: Path, act: Callable[[Document], object]) -> None:
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    act(document)
    path.write_text(json.dumps(document))


def replace(folder: Path, part: str, data: bytes) -> None:
    """Another graph, as consistent as a forger would make it."""

    def act(document: Document) -> None:
        variant = document["parts"][part]["fp32"]
        (folder / variant["file"]).write_bytes(data)
        variant.update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))

    change(folder, act)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("sha256", f'sha256: expected 64 hex digits, got "{HTML}"'),
        ("min_onnxruntime", f'min_onnxruntime: expected a version, got "{HTML}"'),
        ("file", f"bundles/vae/{HTML} is missing, though the manifest names it"),
    ],
)
def test_what_a_manifest_says_is_text(browser: Any, changed: Path, field: str, text: str) -> None:
    change(
        changed / "bundles/vae",
        lambda document: document["parts"]["decoder"]["fp32"].update({field: HTML}),
    )
    with opened(browser, changed) as page:
        assert text in page.text("#latents .problem")
        assert page.tab.locator("img").count() == 0


def test_a_graph_is_walked_before_the_engine_has_it(browser: Any, changed: Path) -> None:
    replace(changed / "bundles/vae", "decoder", FUNCTIONS)
    with opened(browser, changed) as page:
        assert "a bundle never holds functions" in page.text("#latents .problem")
        assert page.complaints == []


def test_a_file_of_another_size_is_not_read_to_its_end(browser: Any, changed: Path) -> None:
    graph = next((changed / "bundles/vae").glob("decoder*.onnx"))
    graph.write_bytes(graph.read_bytes() + bytes(1 << 20))
    with opened(browser, changed) as page:
        said = page.text("#latents .problem")
        assert "is not the file that the manifest names: expected " in said
        assert said.endswith(" Export the bundle again.")


def test_what_a_verb_lacks_is_said(browser: Any, changed: Path) -> None:
    change(changed / "bundles/dae", lambda document: of_others(document, "denoiser"))
    change(changed / "bundles/vae", lambda document: of_others(document, "decoder"))
    with opened(browser, changed) as page:
        assert "this bundle's denoiser cannot denoise: expected " in page.text("#denoise .problem")
        assert "this bundle's decoder cannot decode: expected " in page.text("#latents .problem")
        assert page.complaints == []


def _transparent(path: Path) -> None:
    with Image.open(path) as picture:
        clear = picture.convert("LA")
    clear.putalpha(254)
    clear.save(path)


def _narrow(path: Path) -> None:
    with Image.open(path) as picture:
        picture.crop((0, 0, 20, picture.height)).save(path)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_transparent, "digits.png has transparent pixels, and the model takes none"),
        (_narrow, "digits.png: expected pictures of 28x28, got 20x"),
        (lambda path: path.write_bytes(b"no picture"), "is not a picture that this browser reads"),
        (Path.unlink, "the server answered 404"),
    ],
)
def test_why_there_are_no_sample_digits_is_said(
    browser: Any, changed: Path, damage: Callable[[Path], object], text: str
) -> None:
    damage(changed / "digits.png")
    with opened(browser, changed) as page:
        assert text in page.text("#samples")
        assert page.text("#verdict") == "Equal to PyTorch"
        assert not page.tab.is_visible("#denoise .problem")


def test_sample_digits_are_read_by_the_table(browser: Any, changed: Path) -> None:
    """Turned as EXIF says, and colours made grey by the formula."""
    with Image.open(changed / "digits.png") as picture:
        red = picture.convert("L")
    blank = Image.new("L", red.size)
    colour = Image.merge("RGB", (red, blank, blank)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x112] = 6
    colour.save(changed / "digits.png", exif=exif.tobytes())
    with opened(browser, changed) as page:
        page.tab.click("#samples button >> nth=3")
        page.settle()
        drawn = page.pixels("#drawn")
    fourth = np.asarray(red)[3 * 28 : 4 * 28].astype(int)
    np.testing.assert_array_equal(drawn, (19595 * fourth + 32768) >> 16)
