"""Every client against whole bundles that somebody made to do harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.proof.hostile import judged
from clients.proof.program import Program
from tests.clients.hostile_bundles import KINDS, write

pytestmark = pytest.mark.clients


def test_hostile_bundles_do_no_harm(program: Program, made: Path, tmp_path: Path) -> None:
    found = judged(program, made / "vae", made / "noisy.png", tmp_path, count=70, seed=13)
    assert not found.harm, "\n".join(found.harm)
    assert found.refused > 50


def test_each_call_on_a_hostile_bundle_ends_as_a_command_does(
    program: Program, made: Path, tmp_path: Path
) -> None:
    """In a process of its own, where nothing was set up by a sound bundle before."""
    names = write(made / "vae", tmp_path / "bundles", len(KINDS), 31)
    target = tmp_path / "out.png"
    for name in names:
        bundle = tmp_path / "bundles" / name
        for words in (
            ("check", bundle),
            ("denoise", bundle, made / "noisy.png", target),
            ("generate", bundle, "-n", 3, target),
        ):
            target.unlink(missing_ok=True)
            done = program(*words)
            assert done.returncode in (0, 1, 3, 4), f"{name}: {words[0]}: {done.stderr[-2000:]}"
            lines = done.stderr.splitlines()
            assert len(lines) == (done.returncode in (1, 4)), f"{name}: {words[0]}: {lines}"
            assert target.exists() == (done.returncode == 0 and words[0] != "check")
