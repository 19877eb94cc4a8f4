"""Which rows of a map are shown, and in what order: as somebody has asked for it."""

from __future__ import annotations

from collections.abc import Sequence

from memtui import units
from memtui.model.map.addressmap import AddressMap
from memtui.model.map.arrange import next_match
from memtui.model.map.change import Trail
from memtui.model.map.columns import fields
from memtui.model.map.folds import folded, folds
from memtui.model.map.kinds import Kind
from memtui.model.query import BadQuery, Term, parse_query
from memtui.ondemand.questions import Arranged

_ALSO: dict[str, str] = {"range": "", "start": "", "name": "path"}  # columns of the table alone
_UPWARDS = ("path", "perms", "kind", "label", "dev")  # by these the smallest comes first


class MapRows:
    """A kind, a filter, an order; and what was looked for last."""

    def __init__(self) -> None:
        self.filter = ""
        self.kind: Kind | None = None
        self.order: tuple[str, bool] | None = None  # the column, and whether the largest come first
        self.sought = ""
        self.folds: dict[int, int] = {}  # of the rows that were given last
        self._opened: set[int] = set()
        self._terms: tuple[Term, ...] = ()

    @property
    def is_narrowed(self) -> bool:
        """Whether rows are left out."""
        return bool(self._terms or self.kind)

    def filter_by(self, text: str, map_: AddressMap | None) -> str:
        """From now on those that fulfil these terms; what is wrong with them."""
        try:
            self._terms = parse_query(text, fields(map_))
        except BadQuery as error:
            return str(error)
        self.filter = text
        return ""

    def sort_by(self, column: str) -> None:
        """By a column; by the one it is sorted by already, the other way round; by address again."""
        column = _ALSO.get(column, column)
        if not column:
            self.order = None
        elif self.order and self.order[0] == column:
            self.invert()
        else:
            self.order = (column, column not in _UPWARDS)

    def invert(self) -> None:
        column, downwards = self.order or ("start", False)
        self.order = (column, not downwards)

    def of(self, map_: AddressMap, trail: Trail) -> Arranged | Sequence[int]:
        """The rows; where they have to be looked for, what is to be worked out."""
        terms = self._terms
        if self.kind is not None:
            terms = (*parse_query(f"kind:{self.kind.name}", fields(map_)), *terms)
        self.folds = {}
        if not terms and self.order is None:
            self.folds = folds(map_, self._opened)
            return folded(map_, self.folds) if self.folds else range(len(map_))
        column, downwards = self.order or (None, False)
        return Arranged(map_, terms, column, downwards, trail)

    def unfold(self, map_: AddressMap, row: int) -> bool:
        """Opens the run that begins in a row; whether there is one."""
        if row not in self.folds:
            return False
        self._opened.add(map_.mappings.starts[row])
        return True

    def all_rows(self, map_: AddressMap, rows: Sequence[int]) -> Sequence[int]:
        """The rows that are shown, those in folded runs too."""
        return range(len(map_)) if self.folds else rows

    def seek(
        self, map_: AddressMap, rows: Sequence[int], at: int, step: int, trail: Trail
    ) -> int | str:
        """Where in `rows` the next one is that fits what is sought; or why there is none."""
        try:
            terms = parse_query(self.sought, fields(map_))
        except BadQuery as error:
            self.sought = ""
            return str(error)
        found = next_match(map_, rows, terms, at, step, trail)
        if found is None:
            sought, self.sought = self.sought, ""
            return f"no mapping fits {units.printable(sought)!r}"
        return found
