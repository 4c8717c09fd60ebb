"""`make audit`: the pinned dependencies against the vulnerabilities that PyPI knows of.

Exit codes: 0 none is known, 1 some are, 3 the service could not be asked about all of them, so that nothing is proven.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CLEAN, VULNERABLE, UNREACHABLE = 0, 1, 3
_SECONDS = 600


def verdict(report: Mapping[str, Any] | None, said: str = "") -> tuple[int, list[str]]:
    """The exit code and what to tell, from the JSON of pip-audit (None: it gave none) and its standard error."""
    if report is None:
        last = (said.strip().splitlines() or ["no answer"])[-1]
        return UNREACHABLE, [f"the vulnerability service could not be asked: {last}"]
    packages = report["dependencies"]
    lines = []
    for package in packages:
        for found in package.get("vulns", ()):
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            names = ", ".join([found["id"], *found.get("aliases", ())])
            lines.append(f"{package['name']} {package['version']}: {names}; fixed in {fixed}")
    skipped = [f"{package['name']} ({package['skip_reason']})" for package in packages if "skip_reason" in package]
    if lines:
        return VULNERABLE, lines
    if skipped or not packages:
        shown = "; ".join(skipped[:3]) + (f"; and {len(skipped) - 3} more" if len(skipped) > 3 else "")
        return UNREACHABLE, [f"{len(skipped)} of {len(packages)} packages could not be audited: {shown}"]
    return CLEAN, [f"no known vulnerabilities in {len(packages)} packages"]


def main(requirements: Path = ROOT / "constraints.txt") -> int:
    """Audit `requirements`, a file of pins."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    command += ["--no-deps", "--disable-pip", "--requirement", str(requirements)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        code, lines = verdict(None, f"no end in {_SECONDS} s")
    else:
        report = json.loads(done.stdout) if done.stdout.lstrip().startswith("{") else None
        code, lines = verdict(report, done.stderr)
    print("\n".join(lines), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
