"""Write constraints.txt: the versions that CI runs on.

Run by `make constraints`: pip resolves all extras and groups that CI installs, and installs none.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = "train,gpu,tensorboard,parquet,scale,serve"  # not cpu, which excludes gpu
GROUPS = ("benchmarks", "clients", "dev", "docs", "engines", "mutation", "zoo")
HEAD = """# The versions that CI runs on, by `make constraints`: see docs/dependencies.md. They only
# choose among what pyproject.toml allows, and add nothing to an installation.
"""


def main() -> None:
    """Resolve, and write one line per package."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
        wanted = [f".[{EXTRAS}]", *(word for group in GROUPS for word in ("--group", group))]
        subprocess.run([*pip, "--quiet", "--report", str(report), *wanted], cwd=ROOT, check=True)
        found = json.loads(report.read_text())["install"]
    versions = {item["metadata"]["name"].lower(): item["metadata"]["version"] for item in found}
    del versions["aeonnx"]
    lines = [f"{name}=={version}\n" for name, version in sorted(versions.items())]
    (ROOT / "constraints.txt").write_text(HEAD + "".join(lines))


if __name__ == "__main__":
    main()
