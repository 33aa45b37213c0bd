"""The page's modules in a headless Chromium, asked what the programs are asked."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from aeonnx.tools.web import Server
from aeonnx.tools.web.site import CORE
from clients.proof import languages
from clients.proof.program import Line, lines_of

__all__ = ["ENGINE", "Browser", "launched", "opened", "served"]

ENGINE = languages.ROOT / "clients/web/node_modules/onnxruntime-web/dist"

_OPEN = """
import * as ort from "./engine/ort.wasm.min.mjs";
import { openBundle } from "./bundle.mjs";
ort.env.wasm.wasmPaths = new URL("engine/", location.href).href;
ort.env.wasm.numThreads = 1;
window.open_bundle = (where) => openBundle({
  ort, where, version: ort.env.versions.web, providers: ["wasm"],
  read: async (name) => new Uint8Array(await (await fetch(`${where}/${name}`)).arrayBuffer()),
});
window.version = ort.env.versions.web;
window.ready = true;
"""
_CHECK = """async (where) => {
  const lines = [];
  const bundle = await open_bundle(where);
  await bundle.check((line) => lines.push(line));
  await bundle.close();
  return [window.version, lines.join("\\n")];
}"""
_FIRST = "async (where) => (await (await open_bundle(where)).generate(0n, 1)).length"
_TIME = """async ([where, part]) => {
  const bundle = await open_bundle(where);
  const taken = await bundle.time(part, "fp32");
  await bundle.close();
  return taken;
}"""


@dataclass
class Browser:
    """onnxruntime-web on WebAssembly, one thread.

    Args:
        chromium: the running browser.
        site: served folder; bundles are copied into it.
        address: of the folder.
    """

    chromium: Any
    site: Path
    address: str

    name = "web"
    besides = "a browser"

    def check(self, bundle: Path) -> tuple[str, list[Line]]:
        version, said = self._tab.evaluate(_CHECK, self.copied(bundle))
        return f"onnxruntime-web {version}", lines_of(said)

    def start(self, bundle: Path, picture: Path) -> float:
        """Seconds from opening the page to the first image; the browser runs already."""
        where, tab = self.copied(bundle), self.tab()
        tab.evaluate(_FIRST, where)
        seconds = float(tab.evaluate("performance.now()")) / 1e3
        tab.context.close()
        picture.touch()
        return seconds

    def time(self, bundle: Path, part: str) -> float:
        return float(self._tab.evaluate(_TIME, [self.copied(bundle), part]))

    def shipped(self) -> int:
        files = [*self.site.glob("*.mjs"), *(self.site / "engine").iterdir()]
        return sum(file.stat().st_size for file in files)

    @cached_property
    def _tab(self) -> Any:
        return self.tab()

    def tab(self) -> Any:
        """A new tab at the page."""
        tab = self.chromium.new_context().new_page()
        tab.goto(self.address)
        tab.wait_for_function("window.ready")
        return tab

    def copied(self, bundle: Path) -> str:
        """Where the site has a bundle, after copying it there."""
        if not (self.site / bundle.name).exists():
            shutil.copytree(bundle, self.site / bundle.name)  # no link out of a site is served
        return bundle.name


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder."""
    with Server(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.address
        server.shutdown()
        thread.join()


@contextmanager
def launched(playwright: Any, *flags: str) -> Iterator[Any]:
    """Chromium as it is installed here, never a browser that was downloaded.

    Raises:
        FileNotFoundError: there is none on the path.
    """
    program = shutil.which("chromium")
    if program is None:
        raise FileNotFoundError("no chromium on the path: clients/setup.sh installs it")
    arguments = ["--no-sandbox", *flags]
    with playwright.chromium.launch(
        executable_path=program, args=arguments, timeout=120_000
    ) as browser:
        yield browser


@contextmanager
def opened(site: Path) -> Iterator[Browser]:
    """A browser at an empty page in the folder `site`, with the modules that run bundles."""
    from playwright.sync_api import sync_playwright

    for name in CORE:
        shutil.copy(languages.ROOT / "clients" / "node" / name, site)
    (site / "engine").mkdir()
    for name in ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"):
        shutil.copy(ENGINE / name, site / "engine")
    (site / "index.html").write_text(f'<script type="module">{_OPEN}</script>')
    with sync_playwright() as playwright, launched(playwright) as chromium, served(site) as address:
        yield Browser(chromium, site, address)
