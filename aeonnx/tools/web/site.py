"""Builds the page: a folder of static files for any web server."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from aeonnx._util import files
from aeonnx.bundle import manifest
from aeonnx.errors import BundleError, SetupError

__all__ = [
    "CORE",
    "SHOWN",
    "DemoFiles",
    "build_site",
    "clients_folder",
    "existing_files",
    "paths_in",
]

SHOWN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "dae": {"denoiser": ("fp32", "fp32-uint8")},
    "vae": {"decoder": ("fp32",), "sampler": ("fp32",)},
}
"""By bundle and part, the variants that page/proof.mjs runs."""

CORE = (
    *("axes.mjs", "bundle.mjs", "checks.mjs", "denoising.mjs", "errors.mjs"),
    *("fields.mjs", "graph.mjs", "inputs.mjs", "manifest.mjs", "padding.mjs"),
    *("part.mjs", "pixels.mjs", "replay.mjs", "tensors.mjs", "tiled.mjs"),
    *("tiles.mjs", "variant.mjs", "verbs.mjs"),
)
"""Files that the page shares with clients/node."""

_LARGEST = 2**28  # bytes of a file of the page or the engine
_ENGINE = (
    *("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    *("ort.jspi.min.mjs", "ort-wasm-simd-threaded.jspi.mjs", "ort-wasm-simd-threaded.jspi.wasm"),
)


@dataclass(frozen=True)
class DemoFiles:
    """What the page shows.

    Args:
        bundles: the bundles' folders, by the names in `SHOWN`.
        digits: PNG of sample images, one below the other.
    """

    bundles: Mapping[str, Path]
    digits: Path


def paths_in(folder: Path) -> DemoFiles:
    """The paths in a demo's folder, existing or not; the demo without --web uses the same `vae`."""
    bundles = {"vae": folder / "bundle", "dae": folder / "dae-bundle"}
    return DemoFiles(bundles, folder / "digits.png")


def existing_files(folder: Path) -> DemoFiles | None:
    """What an earlier demo wrote to its folder; None if it is incomplete or damaged."""
    made = paths_in(folder)
    with suppress(BundleError):
        for name, bundle in made.bundles.items():
            _shown_files(bundle, SHOWN[name])
        return made if made.digits.exists() else None
    return None


def clients_folder() -> Path:
    """The folder of the clients in other languages: in the wheel, or in the repository."""
    package = Path(__file__).parents[2]
    packed = package / "_clients"
    return packed if packed.is_dir() else package.parent / "clients"


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
    sources |= {made.digits.name: made.digits}
    sources |= {f"engine/{name}": engine / name for name in _ENGINE}
    with files.staging(folder) as staged:
        for name, source in sources.items():
            files.write(staged / name, _read(source))
        bundles = {name: _shown_files(made.bundles[name], SHOWN[name]) for name in made.bundles}
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


def _shown_files(bundle: Path, wanted: Mapping[str, tuple[str, ...]]) -> dict[str, bytes]:
    """A bundle's files by path, with the wanted variants only, as the page requests no others.

    Raises:
        BundleError: the bundle is missing, damaged, or lacks a part or variant.
    """
    whole = manifest.read(bundle)
    missing = [
        f"{part} {name}"
        for part, names in wanted.items()
        for name in names
        if name not in whole.parts.get(part, {})
    ]
    if missing:
        raise BundleError(f"{bundle} lacks {', '.join(missing)}: export the bundle again")
    parts = {
        part: {name: whole.parts[part][name] for name in names} for part, names in wanted.items()
    }
    shown = replace(whole, parts=parts)
    data = {
        name: files.read_verified(bundle / name, *known)
        for name, known in manifest.contents(shown).items()
    }
    return {manifest.FILE_NAME: manifest.serialize(shown), **data}
