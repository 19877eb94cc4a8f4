"""Where all memory is: one exclusive partition of MemTotal, and what nobody accounts for.

Each page is in one line only, so the lines sum to MemTotal. Where figures contradict each other, as
in a container that sees its own total and its host's kernel, the least trusted ones are cut.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from memtui import units
from memtui.kernel.files import Gap
from memtui.kernel.values import Counters
from memtui.model.system.balanceparts import LISTS, PARTS, ZRAM, Meminfo

if TYPE_CHECKING:
    # Read only while it is shown, and its module imported then.
    from memtui.kernel.zones import Zone

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
    *("balloon", "gpu", "zram", "zswap", "vmalloc", "other_reclaimable", "percpu", "page_tables"),
    *("kernel_stacks", "corrupted", "bounce", "huge_other", "swap_cache", "slab_unreclaimable"),
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


def per_cpu_free_bytes(zones: Iterable[Zone], page_bytes: int) -> int | None:
    """Free pages on the processors' own lists, which MemFree does not count; None without any."""
    counts = [pages.get("count", 0) for zone in zones for pages in zone.pagesets]
    return sum(counts) * page_bytes if counts else None


def balance(
    meminfo: Meminfo | Gap, zram_bytes: int | None = None, lists_bytes: int | None = None
) -> Balance:
    """The sheet of a meminfo in bytes.

    `zram_bytes` is what all zram devices take, `lists_bytes` what `per_cpu_free_bytes` gives; None:
    unknown.
    """
    known = _known(meminfo, zram_bytes, lists_bytes)
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
    rest = None if total is None else total - sum(parts.values())
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


def unaccounted_bytes(
    meminfo: Meminfo | Gap, zram_bytes: int | None = None, lists_bytes: int | None = None
) -> int | None:
    """The sheet's last line alone, for each sample."""
    known = _known(meminfo, zram_bytes, lists_bytes)
    total = known.get("MemTotal")
    return None if total is None else total - sum(_partition(known, total)[0].values())


def _known(
    meminfo: Meminfo | Gap, zram_bytes: int | None, lists_bytes: int | None
) -> dict[str, int]:
    known = {} if isinstance(meminfo, Gap) else dict(meminfo)
    for key, value in ((ZRAM, zram_bytes), (LISTS, lists_bytes)):
        if value is not None:
            known[key] = value
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
