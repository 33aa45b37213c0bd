"""What `aeonnx score` prints: a line per image, or JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aeonnx._util.text import printable
from aeonnx.cli.tables import print_json, say
from aeonnx.runtime.scoring import VERDICTS

if TYPE_CHECKING:
    from aeonnx.bundle import NormalScores
    from aeonnx.runtime.scored import Scored
    from aeonnx.runtime.watching import Seen

__all__ = ["print_one_scored", "print_scored", "summary_of"]


def print_scored(
    names: Sequence[str],
    found: Scored,
    threshold: str,
    normal: NormalScores | None,
    *,
    as_json: bool,
) -> None:
    """Print a line per row: name, score, percentile and verdict; then how many are odd.

    Args:
        names: of the rows.
        found: their scores.
        threshold: as it was given, such as "p99".
        normal: what normal rows score, if the bundle says so.
        as_json: print one document instead.
    """
    shares = [None if math.isnan(share) else share for share in found.percentiles.tolist()]
    verdicts = [VERDICTS[odd] for odd in found.odd.tolist()]
    rows = list(zip(names, found.scores.tolist(), shares, verdicts, strict=True))
    if as_json:
        keys = ("name", "score", "percentile", "verdict")
        listed: list[dict[str, Any]] = [dict(zip(keys, row, strict=True)) for row in rows]
        if found.columns is not None:
            for item, errors in zip(listed, found.columns.tolist(), strict=True):
                item["columns"] = dict(zip(found.names, errors, strict=True))
        print_json({"threshold": found.threshold, "rows": listed})
        return
    shown = [printable(name) for name in names]
    width = max(map(len, shown), default=0)
    for place, (name, (_, score, share, verdict)) in enumerate(zip(shown, rows, strict=True)):
        percent = "" if share is None else f"{share:6.2f} %"
        most = _worst(found, place) if found.odd[place] else ""
        say(f"{name:<{width}}  {score:<10.4g} {percent:>8}  {verdict}{most}")
    say(summary_of(found, threshold, normal))


def _worst(found: Scored, place: int) -> str:
    """The column with the largest share of the error of a row, if rows have columns."""
    if found.columns is None:
        return ""
    errors = found.columns[place]
    worst = int(errors.argmax())
    share = errors[worst] / errors.sum()
    return f"  {printable(found.names[worst])} ({share:.0%} of the error)"


def print_one_scored(found: Seen, *, as_json: bool) -> None:
    """Print a line about one picture; on stderr if it could not be read."""
    share = None if math.isnan(found.percentile) else found.percentile
    if found.problem:
        print(printable(f"Skipped: {found.problem}"), file=sys.stderr)
    elif as_json:
        line = {"name": found.name, "score": found.score, "percentile": share}
        print(json.dumps({**line, "verdict": VERDICTS[found.odd]}), flush=True)
    else:
        percent = "" if share is None else f"{share:6.2f} %"
        verdict = VERDICTS[found.odd]
        line_of = f"{printable(found.name)}  {found.score:<10.4g} {percent:>8}  {verdict}"
        print(line_of, flush=True)


def summary_of(found: Scored, threshold: str, normal: NormalScores | None) -> str:
    """How many rows are above the threshold, and how many normal ones would be."""
    count = f"{int(found.odd.sum())} of {len(found)} above {found.threshold:.4g}"
    if normal is None or threshold not in normal.false_alarms:
        return count
    low, high = (100 * share for share in normal.false_alarms[threshold])
    what = "images" if found.columns is None else "rows"
    source = f"{normal.rows:,} {'held-out' if normal.held_out else 'training'} {what}"
    sure = "" if normal.held_out else ", and more of those that it was not trained on"
    return (
        f"{count} ({threshold}); of normal {what}, {low:.2g} % to {high:.2g} % are{sure} "
        f"(95 % confidence, from {source})"
    )
