"""`make sbom FILE`: what an installation consists of, as CycloneDX JSON; the same packages give the same file.

Only what running needs is listed: the dependencies of pyproject.toml and theirs, not those of development.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, distribution, metadata, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def runtime(package: str = "conflictwire") -> set[str]:
    """The canonical names of what `package` needs when it runs, itself left out."""
    found: set[str] = set()
    waiting: list[tuple[str, frozenset[str]]] = [(package, frozenset())]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        try:
            required = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:
            continue  # of another platform, or a choice that was not taken
        found.add(canonicalize_name(name))
        for each in required:
            chosen = [{"extra": extra} for extra in sorted(extras)] or [{"extra": ""}]
            if each.marker is None or any(each.marker.evaluate(environment) for environment in chosen):
                step = (canonicalize_name(each.name), frozenset(each.extras))
                if step not in seen:
                    seen.add(step)
                    waiting.append(step)
    return found - {canonicalize_name(package)}


def sbom(validate: bool = True) -> dict[str, object]:
    """The bill of materials of this environment, held to what `runtime` names; to `validate` it takes most of a minute."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sbom.json"
        command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
        command += ["--pyproject", str(ROOT / "pyproject.toml"), "--output-file", str(file), sys.executable]
        command += [] if validate else ["--no-validate"]
        subprocess.run(command, check=True, timeout=300)
        made: dict[str, object] = json.loads(file.read_text(encoding="utf-8"))
    wanted = runtime()
    kept = [each for each in made["components"] if canonicalize_name(each["name"]) in wanted]  # type: ignore[attr-defined]
    for each in kept:
        # The tool reads classifiers and SPDX expressions only.
        named = metadata(each["name"]).get("License")
        if named and not each.get("licenses"):
            each["licenses"] = [{"license": {"name": named.splitlines()[0], "acknowledgement": "declared"}}]
    names = {each["bom-ref"] for each in kept}
    root = made["metadata"]["component"]["bom-ref"]  # type: ignore[index]
    made["components"] = kept
    made["dependencies"] = [
        {"ref": each["ref"], "dependsOn": sorted(names.intersection(each["dependsOn"]))}
        if "dependsOn" in each
        else each
        for each in made["dependencies"]  # type: ignore[attr-defined]
        if each["ref"] in names | {root}
    ]
    return made


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(sbom(), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{sys.argv[1]}: {distribution('conflictwire').version}, {len(runtime())} packages", file=sys.stderr)
