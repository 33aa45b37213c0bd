"""Builds the page: a folder of static files for any web server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from aeonnx._util import files
from aeonnx.bundle import Manifest, manifest
from aeonnx.errors import BundleError, SetupError

__all__ = [
    "CORE",
    "PHOTOS",
    "SHOWN",
    "DemoFiles",
    "build_site",
    "clients_folder",
    "existing_files",
    "paths_in",
    "require_photos",
]

SHOWN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "dae": {"denoiser": ("fp32", "fp32-uint8")},
    "vae": {"decoder": ("fp32",), "sampler": ("fp32",)},
}
"""By bundle and part, the variants that page/proof.mjs runs."""

PHOTOS = "any_size"
"""The bundle of the panel for photographs, where there is one."""

CORE = (
    *("axes.mjs", "bundle.mjs", "checks.mjs", "denoising.mjs", "errors.mjs"),
    *("fields.mjs", "graph.mjs", "inputs.mjs", "manifest.mjs", "padding.mjs"),
    *("part.mjs", "pixels.mjs", "replay.mjs", "tensors.mjs", "tiled.mjs"),
    *("tiles.mjs", "variant.mjs", "verbs.mjs"),
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
        bundles: the bundles' folders, by the names in `SHOWN`.
        digits: PNG of sample images, one below the other.
    """

    bundles: Mapping[str, Path]
    digits: Path


def paths_in(folder: Path) -> DemoFiles:
    """The paths in a demo's folder, existing or not."""
    bundles = {name: folder / f"{name}-bundle" for name in SHOWN}
    return DemoFiles(bundles, folder / "digits.png")


def existing_files(folder: Path) -> DemoFiles | None:
    """What an earlier demo wrote to its folder; None if it is incomplete or damaged."""
    made = paths_in(folder)
    with suppress(BundleError):
        for name, bundle in made.bundles.items():
            _shown_files(name, bundle)
        return made if made.digits.exists() else None
    return None


def clients_folder() -> Path:
    """The folder of the clients in other languages: in the wheel, or in the repository."""
    package = Path(__file__).parents[2]
    packed = package / "_clients"
    return packed if packed.is_dir() else package.parent / "clients"


def build_site(folder: Path, made: DemoFiles, engine: Path, photos: Path | None = None) -> Path:
    """Write the page's files into `folder`, for a web server to serve; returns `folder`.

    Args:
        folder: output folder; other files in it are left alone.
        made: the bundles and digits to show.
        engine: folder with the files of onnxruntime-web.
        photos: bundle of a denoiser of pictures of any size, see `require_photos`; None for none.

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
        shown = {**made.bundles, **({PHOTOS: photos} if photos else {})}
        bundles = {name: _shown_files(name, bundle) for name, bundle in shown.items()}
        files.write(staged / _LIST, json.dumps([*bundles]).encode())
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


def require_photos(bundle: Path) -> None:
    """Check that a bundle denoises pictures of any size.

    Raises:
        BundleError: it is missing, damaged, or does something else.
    """
    denoiser = manifest.read(bundle).parts.get("denoiser", {}).get("fp32")
    shape = denoiser.inputs[0].shape if denoiser else ()
    if len(shape) != 4 or not all(isinstance(size, str) for size in shape[2:]):
        got = f"images [{', '.join(map(str, shape))}]" if denoiser else "no denoiser"
        raise BundleError(
            f"--photos {bundle}: expected a denoiser of pictures of any size, as `aeonnx train -m "
            f"dae --arch unet` makes one, got {got}"
        )


def _shown_files(name: str, bundle: Path) -> dict[str, bytes]:
    """A bundle's files by path, with the variants that the page requests.

    Raises:
        BundleError: the bundle is missing, damaged, or lacks a part or variant.
    """
    whole = manifest.read(bundle)
    wanted = SHOWN.get(name) or _pixels(whole)
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


def _pixels(whole: Manifest) -> Mapping[str, tuple[str, ...]]:
    """Of a denoiser of photographs the variants that the page runs: with pixels if there is one."""
    known = whole.parts["denoiser"]
    return {"denoiser": tuple(name for name in ("fp32", "fp32-uint8") if name in known)}
