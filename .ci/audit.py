"""Fails if a vulnerability is known in what Leadlane needs when it runs; says so where nobody could be asked.

Usage: audit.py, run by the Python of the environment. pip-audit alone ends well where its service knows no package at
all, behind a mirror of the package index for one: here that is said, and is no proof.
"""
# ruff: noqa: INP001, S603, T201 - a script, not part of a package; it runs a tool of its own environment and says so

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from typing import Any

from packaging.requirements import Requirement

WITHIN_S = 180
EXTRAS = ("local",)


def name_of(text: str) -> str:
    """The name of a package in its one way of writing."""
    return re.sub(r"[-_.]+", "-", text).lower()


def needed() -> set[str]:
    """Names of all packages that leadlane needs, with theirs, in this environment."""
    found: set[str] = set()
    ahead = [("leadlane", ("", *EXTRAS))]
    while ahead:
        package, extras = ahead.pop()
        try:
            lines = requires(package) or []
        except PackageNotFoundError:
            continue  # for another system or Python
        for line in map(Requirement, lines):
            wanted = not line.marker or any(line.marker.evaluate({"extra": extra}) for extra in extras)
            if wanted and name_of(line.name) not in found:
                found.add(name_of(line.name))
                ahead.append((line.name, ("", *line.extras)))
    return found


def asked() -> list[dict[str, Any]]:
    """What pip-audit knows of each package here; SystemExit 0, with the reason, if it cannot ask."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--format",
        "json",
        "--progress-spinner",
        "off",
        "--skip-editable",
    ]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        packages: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        packages, why = [], f"no answer within {WITHIN_S} s"
    except ValueError:
        packages, why = [], (ran.stderr.strip().splitlines() or ["no reason given"])[-1][:200]
    if not packages:
        print(f"audit: NOT DONE, the service of vulnerabilities cannot be asked: {why}")
        sys.exit(0)
    return packages


ours = needed()
packages = [package for package in asked() if name_of(package["name"]) in ours]
audited = [package for package in packages if "skip_reason" not in package]
found = [(package["name"], package["version"], flaw) for package in audited for flaw in package["vulns"]]
for name, version, flaw in found:
    print(f"audit: {name} {version}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'none yet'}")
if found:
    sys.exit(1)
if not audited:
    print(f"audit: NOT DONE, the service of vulnerabilities here knows none of the {len(packages)} packages")
elif len(audited) < len(packages):
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    print(f"audit: nothing known against {len(audited)} packages; not looked at: {', '.join(unknown)}")
else:
    print(f"audit: nothing known against {len(audited)} packages")
