"""The rooms of the house stand in a line: each uses only those before it."""

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType

import pytest

import dropsmith

SOURCE = Path(dropsmith.__file__).parent
ROOMS = [
    *("errors", "numbers", "instances", "files", "axes", "transforms", "portable"),
    *("keys", "key_series", "strata", "rng", "terms", "record", "hub", "user_code"),
    *(
        "kernels",
        "patterns",
        "batches",
        "plans",
        "interception",
        "noise",
        "recurrent",
        "activations",
        "passes",
        "objectives",
        "consistency",
        "prediction",
        "measures",
        "generation",
        "deployment",
        "sklearn",
        "workers",
        "pattern_search",
    ),
    *("models", "tasks", "run_folder", "train", "compare", "learn", "report", "cli"),
    *("adapters", "testing"),
]


@cache
def import_statements(path: Path) -> tuple[tuple[ast.ImportFrom, ...], tuple[str, ...]]:
    """The `from` statements of a file, and the modules that it imports whole."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    named = tuple(node for node in nodes if isinstance(node, ast.ImportFrom))
    plain = tuple(alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names)
    return named, plain


def imports_of(path: Path) -> set[str]:
    named, plain = import_statements(path)
    modules = [*(node.module or "" for node in named), *plain]
    found = {m.split(".")[1] for m in modules if m.startswith("dropsmith.")}
    for node in named:
        if node.module == "dropsmith":
            found |= {alias.name for alias in node.names}
    return found - {"_version", "__version__"}


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def test_every_file_stands_in_a_known_room():
    rooms = {room_of(path) for path in SOURCE.rglob("*.py")}
    assert rooms - {"__init__", "__main__", "_version"} == set(ROOMS)


def test_a_room_uses_only_the_rooms_before_it():
    backward = [
        (str(path.relative_to(SOURCE)), used)
        for path in SOURCE.rglob("*.py")
        if (room := room_of(path)) in ROOMS
        for used in imports_of(path)
        if used not in ROOMS or ROOMS.index(used) > ROOMS.index(room)
    ]
    # A plan installs itself: thin methods of its own that import `noise` late.
    assert backward == [("plans/plan.py", "noise")]


def private_imports(path: Path) -> list[str]:
    """What a file imports from behind another room's `_`; recipes are a room of their own here."""
    own = room_of(path) if path.is_relative_to(SOURCE) else None
    statements, plain = import_statements(path)
    named = [f"{node.module}.{alias.name}" for node in statements for alias in node.names]
    other = [name for name in [*plain, *named] if name.startswith("dropsmith.") and "._" in name]
    return [name for name in other if name.split(".")[1] not in (own, "_version", "__version__")]


def test_a_room_enters_another_by_its_public_doors():
    every = [*SOURCE.rglob("*.py"), *(SOURCE.parent / "dropsmith_recipes").rglob("*.py")]
    private = {str(path.relative_to(SOURCE.parent)): private_imports(path) for path in every}
    assert {path: found for path, found in private.items() if found} == {}


def imports_past_a_door(path: Path) -> list[str]:
    """The modules inside other rooms that a file names, where the room itself would do."""
    room = room_of(path) if path.is_relative_to(SOURCE) else None
    named, plain = import_statements(path)
    modules = [*(node.module or "" for node in named), *plain]
    parts = [module.split(".") for module in modules]
    return [
        ".".join(names)
        for names in parts
        if names[0] == "dropsmith" and len(names) > 2 and names[1] in ROOMS and names[1] != room
    ]


def test_no_import_goes_past_the_door_of_a_room():
    files = [*SOURCE.rglob("*.py"), *(SOURCE.parent / "dropsmith_recipes").rglob("*.py")]
    past = {str(path.relative_to(SOURCE.parent)): imports_past_a_door(path) for path in files}
    assert {path: modules for path, modules in past.items() if modules} == {}


def test_the_door_of_the_kernels_does_no_work():
    assert imports_of(SOURCE / "kernels" / "__init__.py") == set()


def test_the_architecture_page_names_every_room():
    page = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text()
    assert [room for room in ROOMS if f"`{room}`" not in page] == []


def test_importing_the_library_brings_in_nothing_heavy():
    import subprocess
    import sys

    heavy = "transformers ray matplotlib optuna accelerate sklearn datasets torchmetrics typer"
    heavy += " rich scipy triton"
    code = f"import sys, dropsmith; print([m for m in {heavy.split()!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("room", ["pattern_search", "workers", "compare", "learn", "report"])
def test_no_module_is_hidden_behind_a_name_that_its_package_exports(room: str):
    package = import_module(f"dropsmith.{room}")
    for module in walk_packages(package.__path__, f"{package.__name__}."):
        parent, _, name = module.name.rpartition(".")
        attribute = getattr(import_module(parent), name, None)
        assert attribute is None or isinstance(attribute, ModuleType), module.name
