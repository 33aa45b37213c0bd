"""A few dozen hostile bundles do no harm; thousands: `python -m tests.hostile 10000 0`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aeonnx.cli import cli
from tests.hostile.child import judge
from tests.hostile.kinds import CONTROL, KINDS, SECRET
from tests.hostile.run import harm_of
from tests.hostile.sound import sound


def test_a_sound_bundle_passes(tmp_path: Path) -> None:
    """So that what is refused is refused for what was done to it."""
    sound(tmp_path / "bundle", tmp_path).write()
    result = CliRunner().invoke(cli, ["verify", str(tmp_path / "bundle")])
    assert result.exit_code == 0, result.output


def test_hostile_bundles_do_no_harm(tmp_path: Path) -> None:
    assert harm_of(tmp_path / "work", range(2 * len(KINDS))) == []


@pytest.mark.parametrize(
    ("output", "code", "error"),
    [
        (b"Traceback (most recent call last):", 1, None),
        (SECRET, 0, None),
        (CONTROL.encode(), 0, None),
        (b"Error: x", 139, None),
        (b"it failed", 1, None),
        (b"", 1, ValueError("raw")),
    ],
)
def test_harm_is_seen(output: bytes, code: int, error: Exception | None) -> None:
    result = Result(CliRunner(), output, output, output, None, code, error)
    with pytest.raises((SystemExit, ValueError)):
        judge(["verify"], result)
