"""Builds the page: a folder of static files for any web server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from aeonnx._util import files
from aeonnx._util.clients import clients_folder
from aeonnx.bundle import manifest
from aeonnx.errors import BundleError, SetupError
from aeonnx.tools.web.panels import Panel, choose

__all__ = [
    "CORE",
    "DIGITS",
    "SHOWN",
    "DemoFiles",
    "build_site",
    "bundles_in",
    "existing_files",
    "files_of",
    "own_files",
]

SHOWN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "dae": {"denoiser": ("fp32", "fp32-uint8")},
    "vae": {"decoder": ("fp32",), "sampler": ("fp32",)},
}
"""By bundle and part, the variants that the demo makes."""

DIGITS = "digits.png"
"""The sample images of the demo."""

CORE = (
    *("axes.mjs", "bundle.mjs", "checks.mjs", "contents.mjs", "denoising.mjs", "errors.mjs"),
    *("fields.mjs", "generating.mjs", "graph.mjs", "inputs.mjs", "manifest.mjs", "normal.mjs"),
    *("padding.mjs", "part.mjs", "pixels.mjs", "replay.mjs", "scoring.mjs", "tensors.mjs"),
    *("tiled.mjs", "tiles.mjs", "variant.mjs", "verbs.mjs"),
)
"""Files that the page shares with clients/node."""

_LIST = "bundles.json"
_LARGEST = 2**28  # bytes of a file of the page or the engine
_ENGINE = (
    *("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    *("ort.jspi.min.mjs", "ort-wasm-simd-threaded.jspi.mjs", "ort-wasm-simd-threaded.jspi.wasm"),
)


@dataclass(frozen=True)
class DemoFiles:
    """What the page shows.

    Args:
        bundles: the bundles' folders, by their names in the page.
        panels: which parts of them it shows, and where.
        left_out: what it does not show of them, a sentence each.
        digits: PNG of sample images, one below the other; None if there is none.
    """

    bundles: Mapping[str, Path]
    panels: tuple[Panel, ...]
    left_out: tuple[str, ...]
    digits: Path | None


def files_of(bundles: Mapping[str, Path], digits: Path | None = None) -> DemoFiles:
    """What the page shows of bundles, by their names in the page.

    Raises:
        BundleError: see `choose`.
    """
    panels, later = choose(bundles, digits.name if digits else None)
    first = {panel.panel: bundles[panel.bundle] for panel in panels}
    left_out = (
        f"The panel {panel.panel} shows {first[panel.panel]}, and so not {bundles[panel.bundle]}."
        for panel in later
    )
    return DemoFiles(bundles, panels, tuple(left_out), digits)


def own_files(bundles: Sequence[Path]) -> DemoFiles:
    """What the page shows of a user's bundles, see `files_of`; they are numbered."""
    return files_of({str(number): bundle for number, bundle in enumerate(bundles, 1)})


def bundles_in(folder: Path) -> Mapping[str, Path]:
    """The bundles in a demo's folder, existing or not."""
    return {name: folder / f"{name}-bundle" for name in SHOWN}


def existing_files(folder: Path) -> DemoFiles | None:
    """What an earlier demo wrote to its folder; None if it is incomplete or damaged."""
    made = bundles_in(folder)
    with suppress(BundleError):
        for name, bundle in made.items():
            _shown_files(bundle, SHOWN[name])
        return files_of(made, folder / DIGITS) if (folder / DIGITS).exists() else None
    return None


def build_site(folder: Path, made: DemoFiles, engine: Path) -> Path:
    """Write the page's files into `folder`, for a web server to serve; returns `folder`.

    Args:
        folder: output folder; other files in it are left alone.
        made: the bundles and digits to show.
        engine: folder with the files of onnxruntime-web.

    Raises:
        BundleError: a bundle is missing, damaged, or lacks a variant that the page shows.
        SetupError: a file of the page or of onnxruntime-web cannot be read.
        OutputError: the folder cannot be written to.
    """
    clients = clients_folder()
    page = clients / "web/page"
    sources = {path.relative_to(page).as_posix(): path for path in page.rglob("*.*")}
    sources |= {name: clients / "node" / name for name in CORE}
    sources |= {made.digits.name: made.digits} if made.digits else {}
    sources |= {f"engine/{name}": engine / name for name in _ENGINE}
    panels = json.dumps([asdict(panel) for panel in made.panels], indent=2)
    with files.staging(folder) as staged:
        for name, source in sources.items():
            files.write(staged / name, _read(source))
        bundles = {
            name: _shown_files(bundle, _parts_shown(name, made.panels))
            for name, bundle in made.bundles.items()
        }
        files.write(staged / _LIST, panels.encode())
        for name, contents in bundles.items():
            for file, data in contents.items():
                files.write(staged / "bundles" / name / file, data)
        files.commit(staged, folder, None)  # replaces symbolic links and follows none
    for name, contents in bundles.items():
        places = {f"{Path(file).parent}/*{Path(file).suffix}" for file in contents}
        files.remove_unnamed(folder / "bundles" / name, contents, places)
    return folder


def _read(source: Path) -> bytes:
    try:
        return files.read_bytes(source, _LARGEST)
    except OSError as error:
        raise SetupError(f"cannot read {source}: {error.strerror}") from error


def _parts_shown(bundle: str, panels: Iterable[Panel]) -> Mapping[str, tuple[str, ...]]:
    return {panel.part: panel.variants for panel in panels if panel.bundle == bundle}


def _shown_files(bundle: Path, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, bytes]:
    """A bundle's files by path, with the variants that the page requests.

    Args:
        bundle: folder of the bundle.
        wanted: variants by part.

    Raises:
        BundleError: the bundle is missing, damaged, or lacks a part or variant.
    """
    whole = manifest.read(bundle)
    missing = [
        f"{part} {variant}"
        for part, variants in wanted.items()
        for variant in variants
        if variant not in whole.parts.get(part, {})
    ]
    if missing:
        raise BundleError(f"{bundle} lacks {', '.join(missing)}: export the bundle again")
    parts = {
        part: {variant: whole.parts[part][variant] for variant in variants}
        for part, variants in wanted.items()
    }
    shown = replace(whole, parts=parts)
    data = {
        file: files.read_verified(bundle / file, *known)
        for file, known in manifest.contents(shown).items()
    }
    return {manifest.FILE_NAME: manifest.serialize(shown), **data}
