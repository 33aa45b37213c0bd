"""onnxruntime-web, fetched once with npm and kept in the user's cache."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from aeonnx._util import cache, files
from aeonnx._util.clients import clients_folder
from aeonnx.errors import NpmError

__all__ = ["install_engine"]

_DIST = Path("node_modules/onnxruntime-web/dist")
_MANUAL = (
    "Install Node.js, which includes npm, and run the command again with access to an npm "
    "registry; the download is then kept in the cache"
)


def install_engine() -> Path:
    """The folder with the engine's files, which npm fetches the first time.

    Raises:
        NpmError: npm is missing or failed.
        OutputError: the cache cannot be written to.
    """
    wanted = (clients_folder() / "web/package.json").read_bytes()
    folder = cache.folder() / f"web-{hashlib.sha256(wanted).hexdigest()[:16]}"
    if (folder / _DIST).is_dir():
        return folder / _DIST
    npm = shutil.which("npm")
    if npm is None:
        raise NpmError(f"npm was not found. {_MANUAL}.")
    with files.output_errors(folder), files.new_folder(folder) as staged:
        (staged / "package.json").write_bytes(wanted)
        _install(npm, staged)
    return folder / _DIST


def _install(npm: str, folder: Path) -> None:
    quiet = ("--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
    done = subprocess.run(
        [npm, "install", *quiet, "--fetch-retries=1"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not (folder / _DIST).is_dir():
        output = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise NpmError(f"npm did not fetch onnxruntime-web: {' '.join(output[:3])}. {_MANUAL}.")
