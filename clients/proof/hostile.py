"""A client among bundles that were made to do harm."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from clients.proof.program import Program
from tests.clients.hostile_bundles import write

__all__ = ["Judged", "judged", "misjudged"]

_SECONDS = 10  # that a bundle may take, all of its verbs together


@dataclass(frozen=True)
class Judged:
    """What a client made of hostile bundles.

    Args:
        bundles: how many there were.
        refused: how many it refused.
        run: how many it ran, since nothing was wrong but numbers, perhaps.
        harm: a line for each crash, hang, word on stderr or changed file.
    """

    bundles: int
    refused: int
    run: int
    harm: tuple[str, ...]


def judged(
    program: Program, good: Path, picture: Path, folder: Path, *, count: int, seed: int
) -> Judged:
    """Let a client do all that it can with hostile bundles, in one process.

    Args:
        program: the client.
        good: a sound bundle, whose files the hostile ones point to.
        picture: what is denoised.
        folder: empty, to write them to.
        count, seed: see `hostile_bundles.write`.
    """
    bundles, home = folder / "bundles", folder / "home"
    home.mkdir()
    (home / "precious").write_text("precious")
    names = write(good, bundles, count, seed)
    shutil.copy(picture, bundles / "in.png")
    before = _digest(good, home)
    try:
        done = program.fuzz_bundles(bundles, home, _SECONDS * count)
    except subprocess.TimeoutExpired:
        return Judged(count, 0, 0, (f"it took more than {_SECONDS * count} s",))
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    harm = [f"{name}: nothing was said of it" for name in sorted(names.keys() - said.keys())[:1]]
    if done.returncode or done.stderr:
        harm.append(f"exit code {done.returncode}: {done.stderr[-500:]}")
    harm += [
        f"{name}: accepted: {said[name]}"
        for name, must in names.items()
        if must and said.get(name) == "ok"
    ]
    if _digest(good, home) != before:
        harm.append("a file outside was changed")
    refused = sum(text.startswith("refused: ") for text in said.values())
    return Judged(count, refused, len(said) - refused, tuple(harm))


def misjudged(program: Program, folder: Path) -> list[str]:
    """A line for each damaged manifest on which a client is wrong; none if it is right.

    A manifest that Python accepts must be accepted, and each that was damaged by hand refused with
    a reason. Of those that are damaged at random it may refuse more or less than Python does, since
    it reads less of them; it may not crash.

    Args:
        program: the client.
        folder: what `tests.clients.manifests.damage` wrote.
    """
    done = program.fuzz(folder)
    if done.returncode or done.stderr:
        return [f"exit code {done.returncode}: {done.stdout[-500:]}{done.stderr[-2000:]}"]
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    names = {path.stem for path in (folder / "manifests").iterdir()}
    accepted = set(json.loads((folder / "accepted.json").read_text()))
    wrong = [f"{name}: nothing was said of it" for name in sorted(names - said.keys())]
    for name, answer in said.items():
        by_hand = not name.startswith(("random", "whole"))
        if answer == "accepted":
            good = name in names and not by_hand
        else:
            good = len(answer.removeprefix("refused: ")) > 5 and name not in accepted
        if not good:
            wrong.append(f"{name}: {answer}")
    return wrong


def _digest(*folders: Path) -> str:
    whole = hashlib.sha256()
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            whole.update(f"{path} {path.stat().st_mode}\n".encode() + path.read_bytes())
    return whole.hexdigest()
