"""The program that lives and dies in many ways."""

from tests.watch.runs import lives

__all__ = ["lives"]
