"""Who else maps a file or a piece of shared memory, and what share of it each pays.

Source: /proc/PID/{maps,smaps,stat,status} of every process. Document:
Documentation/filesystems/proc.rst. Permission: ptrace read access to each process; those that may
not be read are counted. Of those that hidepid or a PID namespace hides it is said that there may be some.
Cost a process: 0.04 ms for a look into its maps (40 mappings; 28 ms for 60,000); one that maps it,
1.1 ms more for smaps (270 ms for 60,000), during which the process waits where it maps or unmaps.
1,000 processes: 0.05 s where few map it, 1.2 s where all do.

Identity is device and inode as maps writes them, compared with nothing but maps: on btrfs and
overlayfs stat(2) gives another device. It fails both ways in corners: containers that map one
image's file through overlays of their own share its pages under numbers that differ, and System V
segments of two IPC namespaces may have the same number, which is their shmid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from memtui import units
from memtui.kernel.files import Files, Gap
from memtui.kernel.hidden import read_hidden
from memtui.kernel.maps import Mappings, read_mappings
from memtui.kernel.process import read_identity, status_value
from memtui.kernel.threads import living
from memtui.model.keys import ProcessKey

# Given by the kernel, equal in all processes. A System V segment's inode is its shmid, which may
# be the inode of a memfd on the same device (00:01): the name tells them apart.
_KERNEL_NAMES: Final = ("/SYSV", "/memfd:", "/dev/zero (deleted)", "/anon_hugepage")
_KERNEL_PAGES: Final = ("[vdso]", "[vvar", "[vsyscall]", "[vectors]", "[sigpage]", "[uprobes]")


class Sharer(NamedTuple):
    """One process that maps it, with the sums of its mappings of it; None: not offered, unread.

    `path` is its own name for the file: other mount namespaces and hard links have other ones.
    `hugetlb_bytes` is in no RSS and no PSS.
    """

    key: ProcessKey
    name: str
    uid: int | None
    path: str
    mappings: int
    size_bytes: int
    rss_bytes: int | None
    pss_bytes: int | None
    private_bytes: int | None
    shared_bytes: int | None
    swap_bytes: int | None
    hugetlb_bytes: int | None


class Sharers(NamedTuple):
    """All that were found, who pays most first, and how many could not be asked.

    `looked_at` counts processes whose maps were read to the end or to the first find. `denied` is
    without kernel threads and zombies, which map nothing. `unread`: failed otherwise. `reason`, in
    words: why nobody was looked for, `hidden` why there may be processes that nobody sees here. Not
    `is_complete`: stopped on the way.

    Processes that share one address space without being threads of one process (vfork's child
    until its exec, clone with CLONE_VM alone) are listed with the whole sums each.
    """

    processes: Sequence[Sharer] = ()
    looked_at: int = 0
    denied: int = 0
    gone: int = 0
    unread: int = 0
    is_complete: bool = True
    reason: str = ""
    hidden: str = ""

    @property
    def pss_bytes(self) -> int | None:
        """What they pay together: the memory of all pages that any of them has mapped in.

        Less what others have that are not listed, and less up to 1 KiB a mapping, as the kernel cuts
        each Pss to whole KiB. The page cache may hold more of the file than anybody has mapped in;
        private copies of its pages are in here and not in the cache.
        """
        known = [each.pss_bytes for each in self.processes if each.pss_bytes is not None]
        return sum(known) if known else None

    @property
    def words(self) -> list[str]:
        """What to make of it, a sentence an item."""
        if self.reason:
            return [self.reason]
        count = len(self.processes)
        pss = self.pss_bytes
        total = units.size(pss)
        if not count:
            sentences = ["no process that may be read maps it"]
        elif count == 1:
            sentences = [f"one process maps it and pays {total}"]
        else:
            sentences = [
                f"{units.count(count)} processes map it and pay {total} together",
                f"a page that all of them have in memory costs each 1/{count} of it, "
                "a page or private copy that one alone has costs that one all of it",
            ]
        cut = 1024 * sum(each.mappings for each in self.processes if each.rss_bytes)
        if pss is not None and cut > pss:
            sentences.append(f"up to {units.size(cut)} more: each share is cut to whole KiB")
        if self._others_pay:
            sentences.append(
                "they pay less than all of it: others that are not listed have pages of it too"
            )
        if any(each.hugetlb_bytes for each in self.processes):
            sentences.append("huge pages of hugetlbfs are in nobody's RSS and PSS")
        if self.denied:
            sentences.append(f"{_processes(self.denied)} may not be read and may map it too")
        if self.hidden:
            sentences.append(f"{self.hidden}, and they may map it too")
        if self.unread:
            sentences.append(f"{_processes(self.unread)} could not be read")
        if self.gone:
            sentences.append(f"{_processes(self.gone)} ended meanwhile")
        if not self.is_complete:
            sentences.append("stopped before all processes were looked at")
        return sentences

    @property
    def _others_pay(self) -> bool:
        """Whether somebody pays less than the smallest share that those found account for."""
        # A page's share is 1/n of it for n places that map it; a process may map it repeatedly.
        places = sum(each.mappings for each in self.processes)
        return any(
            # The kernel cuts every mapping's Pss to whole KiB.
            (each.pss_bytes + 1024 * each.mappings) * places < each.rss_bytes
            for each in self.processes
            if each.pss_bytes is not None and each.rss_bytes is not None
        )


def find_sharers(
    files: Files,
    dev: str,
    inode: int,
    path: str,
    progress: Callable[[int, int], bool] | None = None,
) -> Sharers:
    """Goes through all processes for mappings of `dev` (as maps spells it) and `inode`.

    Blocks: call it from a thread. `progress(done, total)` is asked before each process whether to
    go on; where it says no, what was found so far comes back at once.
    """
    if reason := _why_not(inode, path):
        return Sharers(reason=reason)
    wanted = _Wanted(dev, inode, path)
    found: list[Sharer] = []
    counts: Counter[str] = Counter()
    is_complete = True
    pids = files.pids()
    for done, pid in enumerate(pids):
        if progress is not None and not progress(done, len(pids)):
            is_complete = False
            break
        outcome = _look(files, pid, wanted)
        if isinstance(outcome, Gap):
            counts[outcome.reason] += 1
            continue
        counts["looked at"] += 1
        if outcome is not None:
            found.append(outcome)
    found.sort(key=lambda each: (-(each.pss_bytes or 0), -each.size_bytes, each.key))
    looked_at, denied, gone = (counts.pop(name, 0) for name in ("looked at", "denied", "gone"))
    hidden = read_hidden(files)
    return Sharers(
        tuple(found),
        looked_at,
        denied,
        gone,
        counts.total(),
        is_complete,
        hidden=hidden.words if hidden else "",
    )


class _Wanted(NamedTuple):
    """What is looked for. `path` counts only where the kernel made it up."""

    dev: str
    inode: int
    path: str

    @property
    def needles(self) -> tuple[bytes, bytes]:
        """What a line of it contains; a file's name may contain that too."""
        text = f" {self.dev} {self.inode}".encode("ascii", "replace")
        return text + b" ", text + b"\n"

    def rows(self, mappings: Mappings) -> list[int]:
        dev, inode = self.dev, self.inode
        name = self.path if self.path.startswith(_KERNEL_NAMES) else None
        return [
            row
            for row, (its_inode, its_dev, its_path) in enumerate(
                zip(mappings.inodes, mappings.devs, mappings.paths, strict=True)
            )
            if its_inode == inode and its_dev == dev and (name is None or its_path == name)
        ]


def _why_not(inode: int, path: str) -> str:
    """Why a mapping cannot be found in other processes; empty where it can."""
    if path.startswith("anon_inode:"):
        return "the kernel gives all anon_inode files one inode number: it tells nothing apart"
    if inode:
        return ""
    if path.startswith(_KERNEL_PAGES):
        return "these are the kernel's own pages, which it maps into every process"
    return (
        "private memory has no name to look for: what processes still share since a fork shows "
        "only in PSS"
    )


def _look(files: Files, pid: int, wanted: _Wanted) -> Sharer | Gap | None:
    """A process's share; None: it maps nothing of it."""
    seen = _mentioned(files, f"{living(files, pid)}/maps", wanted.needles)
    if isinstance(seen, Gap):
        # The kernel denies the empty maps of its own threads as well.
        return None if seen.reason == "denied" and _has_no_memory(files, pid) else seen
    return _share(files, pid, wanted) if seen else None


def _mentioned(files: Files, name: str, needles: tuple[bytes, bytes]) -> bool | Gap:
    for piece in files.pieces(name):
        if isinstance(piece, Gap):
            return piece
        if any(needle in piece for needle in needles):
            return True
    return False


def _has_no_memory(files: Files, pid: int) -> bool:
    stat = read_identity(files, pid)
    return not isinstance(stat, Gap) and (stat.is_kernel_thread or stat.has_ended)


def _share(files: Files, pid: int, wanted: _Wanted) -> Sharer | Gap | None:
    before = read_identity(files, pid)
    if isinstance(before, Gap):
        return before
    mappings = read_mappings(files, pid)
    if isinstance(mappings, Gap) and mappings.reason == "absent":
        mappings = read_mappings(files, pid, "maps")  # a kernel without smaps
    if isinstance(mappings, Gap):
        return mappings
    status = files.read(f"proc/{pid}/status")
    stat = read_identity(files, pid)
    if isinstance(stat, Gap) or stat.starttime != before.starttime:
        return Gap(f"proc/{pid}/smaps", "gone")
    rows = wanted.rows(mappings)
    if not rows:
        return None  # unmapped, or another program since; or a file that is named like a line
    starts, ends = mappings.starts, mappings.ends
    uids = (b"" if isinstance(status, Gap) else status_value(status, b"Uid") or b"").split()

    def total(*keys: str) -> int | None:
        values = [mappings.get(row, key) for row in rows for key in keys]
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    return Sharer(
        ProcessKey(pid, stat.starttime),
        stat.comm,
        int(uids[1]) if len(uids) > 1 and uids[1].isdigit() else None,
        mappings.paths[rows[0]],
        len(rows),
        sum(ends[row] - starts[row] for row in rows),
        total("Rss"),
        total("Pss"),
        total("Private_Clean", "Private_Dirty"),
        total("Shared_Clean", "Shared_Dirty"),
        total("Swap"),
        total("Shared_Hugetlb", "Private_Hugetlb"),
    )


def _processes(count: int) -> str:
    return f"{units.count(count)} process{'es' if count != 1 else ''}"
