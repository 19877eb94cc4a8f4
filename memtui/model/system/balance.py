"""Where all memory is: one exclusive partition of MemTotal, and what nobody accounts for.

Each page is in one line only, so the lines sum to MemTotal. Where figures contradict each other, as
in a container that sees its own total and its host's kernel, the least trusted ones are cut.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from memtui import units
from memtui.frozen import FrozenDict
from memtui.kernel.accounts import NOTHING, Accounts
from memtui.kernel.files import Gap
from memtui.kernel.values import Counters
from memtui.model.sample import SystemSample
from memtui.model.system.balanceparts import ARC, ARC_KEPT, LISTS, PARTS, ZRAM, Meminfo

UNACCOUNTED: Final = "unaccounted"


class Line(NamedTuple):
    """One part of MemTotal. `bytes` None: not told, and so among the unaccounted.

    `cut_bytes` is what the kernel said above that and does not fit into MemTotal.
    """

    name: str
    label: str
    bytes: int | None
    share_pct: float | None
    source: str
    words: str
    cut_bytes: int = 0


class Balance(NamedTuple):
    """The sheet. All lines sum to `total_bytes`; None, with all lines, where MemTotal is unknown.

    `contradictions`: each says which figures cannot both be true, and what was made of it.
    """

    total_bytes: int | None
    lines: tuple[Line, ...]
    contradictions: tuple[str, ...]

    def line(self, name: str) -> Line:
        """The line of that name. Raises KeyError."""
        for line in self.lines:
            if line.name == name:
                return line
        raise KeyError(name)


_UNACCOUNTED_WORDS: Final = (
    "What is in no other line: pages that drivers, GPUs and the network took directly, and what this "
    "kernel does not tell. A few per cent are normal; steady growth is a leak in a driver."
)

# Of these the kernel's own come first: a container sees the host's, beside its own total.
_CUT_FIRST: Final = (
    *("balloon", "arc_reclaimable", "arc_kept", "gpu_reclaimable", "gpu", "zram", "zswap"),
    *("vmalloc", "other_reclaimable", "percpu", "page_tables", "kernel_stacks", "corrupted"),
    *("bounce", "huge_other", "swap_cache", "slab_unreclaimable"),
    *("slab_reclaimable", "huge_free", "huge_reserved", "huge_used", "shmem", "cache_dirty"),
    *("anon", "cache_clean", "free_lists", "free_cma", "free"),
)
_EXPECTED_TO_BE_CUT: Final = frozenset(("balloon",))
_USED_KEYS: Final = frozenset(
    word.rstrip(",")
    for part in PARTS
    if part.source.startswith("/proc/meminfo ")
    for word in part.source.split()[1:]
) | {"MemTotal", "Slab"}

_NO_PARTS: Final[tuple[dict[str, int], dict[str, int], dict[str, int]]] = ({}, {}, {})

# The smaller of each pair is a part of the larger.
_WITHIN: Final = (
    ("CmaFree", "MemFree"),
    ("Shmem", "Cached"),
    ("Dirty", "Cached"),
    ("SReclaimable", "KReclaimable"),
    ("HugePages_Free", "HugePages_Total"),
    ("HugePages_Rsvd", "HugePages_Free"),
)


def balance(meminfo: Meminfo | Gap, accounts: Accounts | None = NOTHING) -> Balance:
    """The sheet of a meminfo in bytes, and of what other files account for.

    Where these are not read yet (None) nobody can tell what is unaccounted.
    """
    known = _known(meminfo, accounts)
    total = known.get("MemTotal")
    parts, cuts, too_large = _NO_PARTS if total is None else _partition(known, total)
    lines = []
    for part in PARTS:
        value = parts.get(part.name)
        words = part.missing if value is None else part.words
        cut = cuts.get(part.name, 0)
        lines.append(
            Line(part.name, part.label, value, _share(value, total), part.source, words, cut)
        )
    rest = None if total is None or accounts is None else total - sum(parts.values())
    source = "/proc/meminfo MemTotal less all the others"
    lines.append(
        Line(UNACCOUNTED, UNACCOUNTED, rest, _share(rest, total), source, _UNACCOUNTED_WORDS)
    )
    contradictions = [] if isinstance(meminfo, Gap) else _contradictions(meminfo, known)
    contradictions += [
        f"{part.label}: the kernel says {units.size(too_large[part.name])}, more than MemTotal: "
        "taken as unknown"
        for part in PARTS
        if part.name in too_large and part.name not in _EXPECTED_TO_BE_CUT
    ]
    contradictions += [
        f"{part.label}: the kernel says {units.size(parts[part.name] + cuts[part.name])}, but beside "
        f"the rest only {units.size(parts[part.name])} fit into MemTotal: counted as that"
        for part in PARTS
        if cuts.get(part.name) and part.name not in _EXPECTED_TO_BE_CUT
    ]
    return Balance(total, tuple(lines), tuple(contradictions))


def balance_of(system: SystemSample) -> Balance:
    """The sheet of a moment, of the machine or of a group dressed as one."""
    return balance(system.meminfo, _accounts(system))


# Of the host and of a group lately: several figures of each moment are made of it.
_lately: tuple[tuple[object, object, dict[str, int]], ...] = ()


def account(system: SystemSample) -> dict[str, int]:
    """Bytes of each line that is told, by name, `unaccounted` among them: the sheet without words."""
    global _lately
    accounts = _accounts(system)
    for meminfo, beside, made in _lately:
        if meminfo is system.meminfo and beside is accounts:
            return made
    known = _known(system.meminfo, accounts)
    total = known.get("MemTotal")
    parts = {} if total is None else _partition(known, total)[0]
    if total is not None and accounts is not None:
        parts[UNACCOUNTED] = total - sum(parts.values())
    if isinstance(system.meminfo, FrozenDict):  # any other may have changed by the next time
        _lately = ((system.meminfo, accounts, parts), *_lately[:1])
    return parts


def gives_way_bytes(system: SystemSample) -> int:
    """What is given back when memory is short and that no kernel's available counts."""
    parts = account(system)
    return parts.get("arc_reclaimable", 0) + parts.get("gpu_reclaimable", 0)


def _accounts(system: SystemSample) -> Accounts | None:
    return NOTHING if isinstance(system.accounts, Gap) else system.accounts


def _known(meminfo: Meminfo | Gap, accounts: Accounts | None) -> dict[str, int]:
    if isinstance(meminfo, Gap):
        return {}
    known = dict(meminfo)
    if accounts is None:
        return known
    arc = accounts.arc
    gives_way = None if arc is None else min(arc.gives_way_bytes, arc.pages_bytes)
    kept = None if arc is None or gives_way is None else arc.pages_bytes - gives_way
    beside = {
        ZRAM: accounts.zram_bytes,
        LISTS: accounts.lists_bytes,
        ARC: gives_way,
        ARC_KEPT: kept,
    }
    known |= {key: value for key, value in beside.items() if value is not None}
    return known


def _partition(
    meminfo: Meminfo, total: int
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Bytes by line, no more than `total` together, what was cut for that, and what was left out:
    what alone is more than there is would cut all others.
    """
    parts: dict[str, int] = {}
    too_large: dict[str, int] = {}
    for part in PARTS:
        value = part.measure(meminfo)
        if value is not None:
            (parts if value <= total else too_large)[part.name] = value
    excess = sum(parts.values()) - total
    cuts: dict[str, int] = {}
    for name in _CUT_FIRST:
        if excess <= 0:
            break
        if cut := min(excess, parts.get(name, 0)):
            parts[name] -= cut
            cuts[name] = cut
            excess -= cut
    return parts, cuts, too_large


def _contradictions(meminfo: Meminfo, known: Meminfo) -> list[str]:
    impossible = meminfo.impossible if isinstance(meminfo, Counters) else frozenset()
    found = [f"{key} is below zero: taken as unknown" for key in sorted(_USED_KEYS & impossible)]
    stacks = known.get("KernelStack")
    if stacks is not None and known.get("ShadowCallStack", 0) > stacks:
        found.append("ShadowCallStack is larger than KernelStack, which it cannot be: left out")
    for part, whole in _WITHIN:
        small, large = known.get(part), known.get(whole)
        if small is None or large is None:
            continue
        if whole == "Cached":
            large += known.get("Buffers", 0)
        if small > large:
            found.append(f"{part} is larger than {whole}, of which it is a part: cut to fit")
    return found


def _share(value: int | None, total: int | None) -> float | None:
    return None if value is None or not total else 100 * value / total
