"""The program whose inside is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.elf_files import (
    Running,
    compile_program,
)
from tests.elf_files import running as running_program


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_program(tmp_path_factory.mktemp("inside") / "program", "-fPIE", "-pie")


@pytest.fixture
def program(path: Path) -> Iterator[Running]:
    with running_program(path) as started:
        yield started
