"""The browser page where something is damaged or missing: it says so, and the rest works."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeonnx.bundle import manifest
from clients.proof.browser import served
from tests.clients.browser import PARSE, but_modules, opened
from tests.support import graph_file

pytestmark = pytest.mark.clients


def test_a_changed_golden_output_fails_the_check(browser: Any, changed: Path) -> None:
    """As consistent as a forger would make it: with its digest."""
    folder = changed / "bundles/vae"
    whole = manifest.read(folder)
    stored = whole.parts["decoder"]["fp32"].golden[0].outputs["reconstruction"]
    data = bytearray((folder / stored.file).read_bytes())
    data[:4] = np.float32(7).tobytes()
    (folder / stored.file).write_bytes(data)
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace(stored.sha256, sha256(data).hexdigest()))
    with opened(browser, changed) as page:
        assert page.text("#verdict") == "Check failed"
        assert "Do not trust these pictures: decoder did not" in page.text("#alert")
        rows = page.tab.inner_text("#proofs .fail").split()
        assert rows[:3] == ["decoder", "fp32", "reconstruction"]
        assert rows[-1] == "fail"
        assert float(rows[-3]) > 6
        assert page.complaints == []


@pytest.mark.parametrize(
    ("file", "panel", "text"),
    [
        ("dae/manifest.json", "denoise", "no bundle at bundles/dae: it has no manifest.json"),
        ("vae/decoder.*.onnx", "latents", ".onnx is missing, though the manifest names it"),
        ("vae/golden/sampler/z.*.bin", "generate", ".bin is missing, though the manifest names it"),
    ],
)
def test_what_is_missing_is_said_and_the_rest_works(
    browser: Any, changed: Path, file: str, panel: str, text: str
) -> None:
    (found,) = (changed / "bundles").glob(file)
    found.unlink()
    with opened(browser, changed) as page:
        assert text in page.text(f"#{panel} .problem")
        assert not page.tab.is_visible(f"#{panel} canvas >> nth=0")
        assert page.text("#verdict") == "Check failed"
        others = {"denoise", "latents", "generate"} - {panel}
        assert not any(page.tab.is_visible(f"#{other} .problem") for other in others)
        assert len(page.complaints) == 1  # the browser's own line about the answer 404


@pytest.mark.parametrize("damage", [b"{", b'{"format": "zip"}', b"\xff"])
def test_a_damaged_bundle_is_said(browser: Any, changed: Path, damage: bytes) -> None:
    (changed / "bundles/vae/manifest.json").write_bytes(damage)
    graph = graph_file(changed / "bundles/dae", "denoiser", "fp32-uint8")
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    with opened(browser, changed) as page:
        assert "bundles/vae/manifest.json: " in page.text("#latents .problem")
        assert "is not the file that the manifest names" in page.text("#denoise .problem")
        assert page.complaints == []


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("delete globalThis.WebAssembly", "This browser has no WebAssembly"),
        (
            "Object.defineProperty(Crypto.prototype, 'subtle', {value: undefined})",
            "only on https and on localhost",
        ),
    ],
)
def test_what_the_browser_lacks_is_said(browser: Any, site: Path, script: str, text: str) -> None:
    with opened(browser, site, script) as page:
        assert text in page.text("#alert")
        assert page.tab.is_visible("#alert")
        assert page.complaints == []


def test_an_engine_that_is_not_there_is_said(browser: Any, changed: Path) -> None:
    (changed / "engine/ort.wasm.min.mjs").unlink()
    with opened(browser, changed) as page:
        assert "ort.wasm.min.mjs did not load from http://127.0.0.1" in page.text("#alert")


def test_no_manifest_makes_the_reader_fail(
    browser: Any, damaged_manifests: Path, site: Path, tmp_path: Path
) -> None:
    """Anything but a BundleError, or a refusal of what Python takes, would be a fault."""
    shutil.copytree(damaged_manifests, tmp_path / "fuzz")
    names = sorted(path.name for path in (tmp_path / "fuzz/manifests").iterdir())
    shutil.copytree(site, tmp_path / "fuzz", ignore=but_modules, dirs_exist_ok=True)
    with served(tmp_path / "fuzz") as address:
        tab = browser.new_page()
        tab.goto(f"{address}icon.svg")
        said = tab.evaluate(PARSE, names)
        tab.close()
    faults = {name: text for name, text in said.items() if text.startswith("fault")}
    assert faults == {}
    assert said["whole.json"] == "accepted"
    refused = {name.removesuffix(".json") for name in names if said[name] == "refused"}
    assert len(refused) > 100
    assert refused.isdisjoint(json.loads((damaged_manifests / "accepted.json").read_text()))
