"""What `aeonnx score` prints: a line per row, or JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aeonnx._util.text import counted, printable
from aeonnx.bundle import least_rows
from aeonnx.cli.tables import print_json, say
from aeonnx.runtime.scored import VERDICTS

if TYPE_CHECKING:
    from aeonnx.bundle import NormalScores
    from aeonnx.runtime.scored import Scored
    from aeonnx.runtime.watching import Seen

__all__ = ["print_file_scored", "print_scored", "summary_of"]


def print_scored(
    names: Sequence[str],
    found: Scored,
    threshold: str,
    normal: NormalScores | None,
    *,
    labelled: bool,
    as_json: bool,
) -> None:
    """Print a line per row: name, score, percentile and verdict; then how many are odd.

    Args:
        names: of the rows.
        found: their scores.
        threshold: as it was given, such as "p99".
        normal: what normal rows score, if the bundle says so.
        labelled: whether a label was given; what normal rows score is known of predicted ones.
        as_json: print one document instead.
    """
    if as_json:
        rows = [{"name": name, **found.row(place)} for place, name in enumerate(names)]
        print_json({"threshold": found.threshold, "rows": rows})
        return
    width = max((len(printable(name)) for name in names), default=0)
    for place, name in enumerate(names):
        say(_line(name, found, place, width))
    say(summary_of(found, threshold, normal, labelled=labelled))


def _line(name: str, found: Scored, place: int, width: int) -> str:
    share = found.percentiles[place]
    percent = "" if math.isnan(share) else f"{share:6.2f} %"
    most = _worst(found, place)
    score, verdict = found.scores[place], VERDICTS[bool(found.odd[place])]
    return f"{printable(name):<{width}}  {score:<10.4g} {percent:>8}  {verdict}{most}"


def _worst(found: Scored, place: int) -> str:
    """The column that a row is odd in, and its share of the error; "" if there is none."""
    name = found.column(place)
    if name is None or found.columns is None:
        return ""
    errors = found.columns[place]
    whole = math.fsum(errors.tolist())
    if not math.isfinite(whole):  # the network overflows
        return f"  {printable(name)}"
    return f"  {printable(name)} ({errors[found.names.index(name)] / whole:.0%} of the error)"


def print_file_scored(found: Seen, *, as_json: bool) -> None:
    """Print a line about each row of a file; on stderr about those that cannot be scored."""
    for problem in found.problems:
        print(printable(f"Skipped: {problem}"), file=sys.stderr)
    if found.scored is None:
        return
    for place, name in enumerate(found.names):
        if as_json:
            print(json.dumps({"name": name, **found.scored.row(place)}), flush=True)
        else:
            print(_line(name, found.scored, place, 0), flush=True)


def summary_of(
    found: Scored, threshold: str, normal: NormalScores | None, *, labelled: bool
) -> str:
    """How many rows are above the threshold, and how many normal ones would be."""
    count = f"{int(found.odd.sum())} of {len(found)} above {found.threshold:.4g}"
    if normal is None or threshold not in normal.false_alarms:
        return count
    few = normal.rows < (least := least_rows(threshold))
    low, high = (100 * share for share in normal.false_alarms[threshold])
    what = "image" if found.columns is None else "row"
    source = counted(normal.rows, f"{'held-out' if normal.held_out else 'training'} {what}")
    source += f" only: {threshold} needs {least} or more" if few else ""
    sure = "" if normal.held_out else ", and more of those that it was not trained on"
    whose = " whose labels are predicted" if labelled else ""
    return (
        f"{count} ({threshold}); of normal {what}s{whose}, {low:.2g} % to {high:.2g} % are{sure} "
        f"(95 % confidence, from {source})"
    )
