"""The house as CONTRIBUTING.md describes it: rooms, the direction of imports, what the wheel takes along."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
FOLDERS = ("ops", "tasks", "workers", "schemas")

# Each part and what it may import; "face" is leadlane/*.py and leadlane/cli.
MAY_IMPORT = {
    "ops": {"ops", "face", "tasks", "workers", "schemas"},
    "face": {"face", "tasks", "workers", "schemas"},
    "tasks": {"tasks", "workers", "schemas"},
    "workers": {"workers", "schemas"},
    "schemas": {"schemas"},
}


def sources() -> list[Path]:
    """Every Python file of the product, relative to the root."""
    found = [path for room in ("leadlane", *FOLDERS) for path in (ROOT / room).rglob("*.py")]
    return sorted(path.relative_to(ROOT) for path in found if not linked(path))


def linked(path: Path) -> bool:
    return any(parent.is_symlink() for parent in path.parents if parent != ROOT)


def package(folder: Path) -> str:
    """Dotted name of the package in a folder: ops/sandbox is leadlane.ops.sandbox."""
    return ".".join(folder.parts if folder.parts[0] == "leadlane" else ("leadlane", *folder.parts))


def part(module: str) -> str:
    """The part of the house a module of ours belongs to."""
    room = (*module.split("."), "")[1]
    return room if room in FOLDERS else "face"


def imports(source: Path) -> Iterator[str]:
    """Dotted names of what a file imports, at the top or inside a function, by statement or import_module."""
    for node in ast.walk(ast.parse((ROOT / source).read_text())):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                here = package(source.parent).split(".")
                base = [*here[: len(here) - level + 1], *([module] if module else [])] if level else [module]
                yield from (".".join([*base, name.name]) for name in names)
            case ast.Call(
                func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(str(name)), *_]
            ):
                if called in {"import_module", "__import__"}:
                    yield name


def is_within(module: str, package_name: str) -> bool:
    return module == package_name or module.startswith(f"{package_name}.")


def loaded_by(program: str) -> set[str]:
    """Names of all modules in a fresh interpreter that has run the program."""
    asked = f"{program}\nimport sys; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd="/")
    return set(ended.stdout.split())


def test_pyproject_lists_every_package() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted({package(source.parent) for source in sources()})


def test_every_package_says_that_it_is_one() -> None:
    assert [
        folder for source in sources() if not (ROOT / (folder := source.parent) / "__init__.py").exists()
    ] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_type_checkers_find_the_folder_inside_leadlane(folder: str) -> None:
    assert (ROOT / "leadlane" / folder).readlink() == Path("..", folder)
    assert SETUPTOOLS["package-dir"][f"leadlane.{folder}"] == folder


@pytest.mark.parametrize("source", sources(), ids=str)
def test_imports_point_one_way(source: Path) -> None:
    ours = {module for module in imports(source) if is_within(module, "leadlane")}
    allowed = MAY_IMPORT[part(f"{package(source.parent)}.")]
    assert {module for module in ours if part(module) not in allowed} == set()


@pytest.mark.parametrize("source", sources(), ids=str)
def test_our_folders_are_imported_only_as_parts_of_leadlane(source: Path) -> None:
    assert {module for module in imports(source) if module.split(".")[0] in FOLDERS} == set()


def test_only_the_transport_imports_httpx() -> None:
    users = {
        source.as_posix() for source in sources() for module in imports(source) if is_within(module, "httpx")
    }
    assert {user for user in users if not user.startswith("ops/")} == {"workers/transport.py"}


def test_importing_leadlane_loads_nothing_heavy() -> None:
    assert loaded_by("import leadlane") & {"celery", "flower", "httpx", "phonenumbers"} == set()


def test_the_names_a_producer_uses_load_neither_http_nor_flower_nor_phone_tables() -> None:
    program = "import leadlane\nfor name in getattr(leadlane, '__all__', ()): getattr(leadlane, name)"
    assert loaded_by(program) & {"flower", "httpx", "phonenumbers"} == set()


@pytest.mark.parametrize(
    "script",
    sorted(path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*.lua")),
    ids=str,
)
def test_a_lua_script_is_in_the_wheel_and_opens_with_its_name(script: Path) -> None:
    globs = SETUPTOOLS["package-data"][package(Path(script.parts[0]))]
    assert any(fnmatch("/".join(script.parts[1:]), pattern) for pattern in globs)
    assert (ROOT / script).read_text().startswith(f"-- {script.name}: ")
