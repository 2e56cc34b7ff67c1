"""Fails unless a wheel holds leadlane/ and nothing else, with every module, script and sample of the tree.

Usage: wheel_contents.py WHEEL, in the root of the repository.
"""
# ruff: noqa: INP001 - a script, not part of a package

import sys
from pathlib import Path
from zipfile import ZipFile

ROOMS = ("leadlane", "ops", "schemas", "tasks", "workers")


def expected() -> set[str]:
    """Names in the wheel of all files that the product needs when it runs."""
    files = {
        path for room in ROOMS for kind in ("py", "lua", "csv") for path in Path(room).rglob(f"*.{kind}")
    }
    own = {path for path in files if not any(parent.is_symlink() for parent in path.parents)}
    return {str(path if path.parts[0] == "leadlane" else Path("leadlane", path)) for path in own} | {
        "leadlane/py.typed"
    }


held = {name for name in ZipFile(sys.argv[1]).namelist() if ".dist-info/" not in name}
strange = {name for name in held if not name.startswith("leadlane/")}
missing = expected() - held
if strange or missing:
    sys.exit(f"wheel: missing {sorted(missing)}, does not belong there {sorted(strange)}")
