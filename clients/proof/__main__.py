"""Fetch and build clients: `python -m clients.proof [NAME ...]`.

Without a name it builds all but those that take minutes to compile.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from clients.proof import languages


def main(names: Sequence[str]) -> int:
    """Build each; the exit code is 4 where a tool or a package is missing."""
    known = languages.LANGUAGES
    if unknown := sorted(set(names) - set(known)):
        print(f"Error: no such client: {', '.join(unknown)}. Known: {', '.join(known)}")
        return 2
    failed = 0
    for name in names or [name for name, language in known.items() if not language.slow]:
        started = time.monotonic()
        if missing := languages.missing_tools(known[name]):
            print(f"{name}: no {', no '.join(missing)} here: clients/setup.sh installs it")
            failed = 4
            continue
        try:
            languages.fetch(name)
            languages.build(name)
        except RuntimeError as error:
            print(f"{name}: {error}")
            failed = 4
            continue
        print(f"{name}: built in {time.monotonic() - started:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
