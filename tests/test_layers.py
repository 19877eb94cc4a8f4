"""What is imported when: reports without the interface, the lower layers without packages.

The contracts of import-linter say what may be imported from where; these tests see what is.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from memtui.commands import Command
from tests.commandwords import REPORTS, arguments_of
from tests.conftest import HOSTS_DIR

PROJECT = Path(__file__).parent.parent
DEBIAN = str(HOSTS_DIR / "debian-6.18")
PID = "688"
PACKAGES = ("textual", "rich", "plotext", "textual_plotext", "psutil")
LOWER = (
    "units",
    "settings",
    "targets",
    "recording",
    "session",
    "lab",
    "live",
    "kernel",
    "model",
    "reports",
)


def imported_by(script: str) -> set[str]:
    """The packages, of PACKAGES, that a script leaves imported, and "memtui.tui"."""
    watched = (*PACKAGES, "memtui.tui")
    script += f"\nimport sys\nprint('imported', *({set(watched)!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    first, *found = done.stdout.splitlines()[-1].split()
    assert first == "imported"
    return set(found)


def lower_modules() -> list[str]:
    """Every module below the interface."""
    found = []
    for layer in LOWER:
        path = PROJECT / "memtui" / layer
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]:
            name = ".".join(file.relative_to(PROJECT).with_suffix("").parts)
            found.append(name.removesuffix(".__init__"))
    return found


@pytest.mark.parametrize("root", [[], ["--root", DEBIAN]], ids=["live", "captured"])
@pytest.mark.parametrize(
    ("command", "form"),
    [
        (command, form)
        for command in REPORTS
        for form in ([], ["--json"] * command.is_document, ["--csv"] * command.is_table)
    ],
)
def test_a_report_leaves_no_package_imported(
    command: Command, form: list[str], root: list[str], tmp_path: Path
) -> None:
    # Live, the interpreter's own map, which anyone may read.
    arguments = arguments_of(command, tmp_path / "written", PID if root else "own")
    words = [command.name, *arguments, *form, *root]
    script = (
        "import os\nfrom memtui.cli import main\n"
        f"words = [str(os.getpid()) if word == 'own' else word for word in {words!r}]\n"
        "assert main(words) == 0"
    )
    assert imported_by(script) == set()


def test_a_program_is_watched_without_any_package() -> None:
    script = "from memtui.cli import main\nassert main(['run', '--headless', '--json', '--', 'true']) == 0"
    assert imported_by(script) == set()


def test_the_lower_layers_import_no_package() -> None:
    modules = lower_modules()
    assert {"memtui.kernel.maps", "memtui.model.system.metrics", "memtui.session.history"} <= set(
        modules
    )
    assert imported_by("\n".join(f"import {module}" for module in modules)) == set()


def test_the_interface_is_what_imports_them() -> None:
    """These tests would see it."""
    assert {"textual", "memtui.tui"} <= imported_by("import memtui.tui.app")


def test_the_first_frame_is_not_kept_waiting_for_plotext() -> None:
    assert "plotext" not in imported_by("import memtui.tui.app")


def imports_of(node: ast.AST) -> Iterator[str]:
    """What a file imports when it runs, at its top or later: not what only types need."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.If) and ast.unparse(each.test) == "TYPE_CHECKING":
            continue
        if isinstance(each, ast.ImportFrom):
            yield from (f"{each.module}.{name.name}" for name in each.names)
            yield each.module or ""
        elif isinstance(each, ast.Import):
            yield from (name.name for name in each.names)
        yield from imports_of(each)


def test_no_module_needs_itself_by_way_of_others() -> None:
    """Within a layer too, where no contract looks, and by an import within a function."""
    files = {
        ".".join(path.relative_to(PROJECT).with_suffix("").parts): path
        for path in (PROJECT / "memtui").rglob("*.py")
        if path.name != "__init__.py"
    }
    graph = {
        name: {found for found in imports_of(ast.parse(path.read_text())) if found in files}
        for name, path in files.items()
    }
    assert len(graph["memtui.tui.launch"]) > 10
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
