"""Who holds shared memory, as it was found: owners, those that have them open, and what they make up."""

from __future__ import annotations

from typing import Literal, NamedTuple

from memtui import units
from memtui.kernel.files import Gap
from memtui.model.keys import ProcessKey

Kind = Literal["tmpfs", "System V", "memfd", "shared", "GPU", "deleted", "hugetlb"]


class Holder(NamedTuple):
    """A process that has it open or mapped."""

    key: ProcessKey
    name: str
    uid: int | None


class Owner(NamedTuple):
    """What holds shared memory. `held_bytes` is what it takes, `swap_bytes` of that swapped out
    where that is told; None: not to be told, and then `why` says why.

    `is_counted`: in Shmem, and in nothing else that is listed. `is_least`: it may be more. `words`
    say what else is known of it.
    """

    kind: Kind
    name: str
    held_bytes: int | None
    swap_bytes: int | None = None
    limit_bytes: int | None = None
    holders: tuple[Holder, ...] = ()
    is_counted: bool = True
    is_least: bool = False
    words: tuple[str, ...] = ()


class Owners(NamedTuple):
    """All that was found, the largest first. `shmem_bytes` is meminfo's Shmem, which leaves out what
    is swapped out; `denied` counts processes that may not be read, without those that hold nothing.
    Not `is_complete`: stopped on the way. Not `is_recorded`: of a recording, which has little of it.
    """

    owners: tuple[Owner, ...] = ()
    shmem_bytes: int | None = None
    swap_used_bytes: int | None = None
    looked_at: int = 0
    denied: int = 0
    is_complete: bool = True
    gaps: tuple[Gap, ...] = ()
    is_recorded: bool = True

    @property
    def named_bytes(self) -> int:
        """What those hold together that count, what of it is swapped out included."""
        return sum(each.held_bytes or 0 for each in self.owners if each.is_counted)

    @property
    def named_pct(self) -> float | None:
        """The share of Shmem that has a name; None where Shmem is not told or nothing, or who has
        it was not recorded."""
        if not self.shmem_bytes or not self.is_recorded:
            return None
        swapped = sum(each.swap_bytes or 0 for each in self.owners if each.is_counted)
        return min(100.0, 100 * (self.named_bytes - swapped) / self.shmem_bytes)

    @property
    def words(self) -> list[str]:
        """What to make of it, a sentence an item."""
        named, shmem = self.named_bytes, self.shmem_bytes
        if not self.is_recorded:
            said = [f"who holds the {units.size(shmem)} of shared memory (Shmem) was not recorded"]
            if named:
                said.append(f"of {units.size(named)} it was")
        elif shmem is None:
            said = [f"{units.size(named)} have an owner here"]
        else:
            said = [
                f"of {units.size(shmem)} of shared memory (Shmem) "
                f"{units.percent(self.named_pct)} have an owner here"
            ]
            if named > shmem and self.swap_used_bytes:
                said.append(
                    f"what they hold together is {units.size(named)}: {units.size(named - shmem)} "
                    "of it at least must be swapped out"
                )
        if self.denied:
            processes = f"{units.count(self.denied)} process{'es' if self.denied != 1 else ''}"
            said.append(
                f"{processes} may not be read: memory and mounts that these alone hold are not named"
            )
        said += [f"not read: {gap}" for gap in self.gaps]
        if not self.is_complete:
            said.append("stopped before all processes were looked at")
        return said
