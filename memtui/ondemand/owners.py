"""Who holds shared memory: tmpfs mounts, System V segments, memfds, shared anonymous memory, GPUs.

Source: /proc/PID/{mountinfo,ns,root,fd,fdinfo,maps,map_files,smaps} of every process, and
/proc/sysvipc/shm. Document: Documentation/filesystems/{proc,tmpfs}.rst, drm-usage-stats.rst.
Permission: ptrace read access to each process; those that may not be read are counted, and what
they alone hold is not named. Cost of 1,000 processes with 30 files each: 0.5 s.

What the kernel counts as Shmem has no list of owners. Its pages belong to files of tmpfs: of mounts,
of which statvfs tells the sum; or of the kernel's own mount, which nobody sees, and of whose files
open descriptors and mappings tell. A mount in several mount namespaces is one, by its device.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from memtui import units
from memtui.kernel.drm import Client, parse_drm_fdinfo
from memtui.kernel.files import Allocation, Files, Gap
from memtui.kernel.maps import Mappings, read_mappings
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.mounts import Mount, parse_mountinfo
from memtui.kernel.process import parse_identity, status_value
from memtui.kernel.sysvshm import Segment, parse_sysvipc_shm
from memtui.model.keys import ProcessKey
from memtui.model.machine import Machine
from memtui.model.system.owners import Holder, Kind, Owner, Owners

File = tuple[tuple[int, int], int]  # a file by its device and inode

_DELETED: Final = " (deleted)"
# A mapping of a file without a name: start, end, device, inode, path.
_MAPPED: Final = re.compile(
    rb"^([0-9a-f]{1,16})-([0-9a-f]{1,16}) \S+ \S+ ([0-9a-f]+):([0-9a-f]+) (\d{1,20}) +"
    rb"([^\n]*) \(deleted\)$",
    re.MULTILINE,
)
_NAMES: Final[tuple[tuple[str, Kind], ...]] = (
    ("/memfd:", "memfd"),
    ("/SYSV", "System V"),
    ("/dev/zero", "shared"),
    ("/drm mm object", "GPU"),
    ("/i915", "GPU"),
)
_KERNELS_OWN: Final = (0, 1)  # the first file system without a device that a kernel makes
_GPU_FILES: Final = ("/dev/dri/", "/dev/accel/")
_MNT_ID: Final = re.compile(rb"^mnt_id:\s*(\d{1,10})$", re.MULTILINE)


class _Found:
    """One file of tmpfs that was met in processes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.allocation: Allocation | None = None
        self.mapped_bytes = 0  # what the largest mapper has of it
        self.holders: dict[int, Holder] = {}


class _Mounts:
    """Every tmpfs by its device, with the ways that lead to it."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._seen: set[str] = set()
        self.ways: dict[tuple[int, int], list[tuple[str, Mount, bool]]] = {}
        self.numbers: set[int] = set()
        self.gap: Gap | None = None
        self._add("self")

    def _add(self, process: str) -> None:
        found = self._files.parsed(f"proc/{process}/mountinfo", parse_mountinfo)
        if isinstance(found, Gap):
            if process == "self":
                self.gap = found
            return
        namespace = self._files.link(f"proc/{process}/ns/mnt")
        self._seen.add("" if isinstance(namespace, Gap) else namespace)
        self.gap = None
        for mount in found:
            if mount.type in ("tmpfs", "devtmpfs"):
                self.numbers.add(mount.number)
                ways = self.ways.setdefault(mount.device, [])
                ways.append((process, mount, process == "self"))

    def meet(self, pid: int) -> None:
        """The mounts of a process, if its namespace is another one that may be looked into."""
        namespace = self._files.link(f"proc/{pid}/ns/mnt")
        if isinstance(namespace, Gap):
            # Of a captured machine there are no namespaces: one process's mounts are all there are.
            if namespace.reason == "denied" or self.ways:
                return
        elif namespace in self._seen:
            return
        self._add(str(pid))

    def owners(self, who: Callable[[str], Holder | None]) -> Iterator[Owner]:
        for device, ways in self.ways.items():
            yield self._owner(device, ways, who)

    def _owner(
        self,
        device: tuple[int, int],
        ways: list[tuple[str, Mount, bool]],
        who: Callable[[str], Holder | None],
    ) -> Owner:
        """What a mount holds: where another is mounted over it, by another way."""
        # Whole ones first, then bind mounts of a part of it.
        ways = sorted(ways, key=lambda way: (not way[2], way[1].root != "/"))
        process, mount, is_own = ways[0]
        holder = None if is_own else who(process)
        words = [f"mounted at {len(ways)} places"] if len(ways) > 1 else []
        if holder is not None:
            words.append(f"as process {holder.key.pid} ({holder.name}) sees it")
        why = "another file system is mounted over it"
        for process, each, _ in ways:
            space = self._files.space(f"proc/{process}/root{each.point}")
            if isinstance(space, Gap):
                why = f"what it holds is not known: {space.words}"
                continue
            if space.device != device:
                continue
            if space.used_bytes is None:
                words.append("it has no limit, and so does not tell its use")
            return Owner(
                "tmpfs",
                mount.point,
                space.used_bytes,
                None,
                space.limit_bytes,
                () if holder is None else (holder,),
                words=tuple(words),
            )
        return Owner("tmpfs", mount.point, None, words=(*words, why))


def find_owners(
    files: Files, machine: Machine, progress: Callable[[int, int], bool] | None = None
) -> Owners:
    """Looks through all processes. Blocks: call it from a thread.

    `progress(done, total)` is asked before each process whether to go on; where it says no, what was
    found so far comes back at once.
    """
    return _Search(files, machine).run(progress)


class _Search:
    """One look through all processes."""

    def __init__(self, files: Files, machine: Machine) -> None:
        self._files = files
        self._machine = machine
        self._mounts = _Mounts(files)
        self._found: dict[tuple[str, File], _Found] = {}
        self._clients: dict[object, tuple[Client, dict[int, Holder]]] = {}
        self._own_ipc = files.link("proc/self/ns/ipc")
        self._denied = self._looked_at = 0

    def run(self, progress: Callable[[int, int], bool] | None) -> Owners:
        pids = sorted(self._files.pids())
        is_complete = True
        for done, pid in enumerate(pids):
            if progress is not None and not progress(done, len(pids)):
                is_complete = False
                break
            self._look(pid)
        owners = [
            *self._mounts.owners(self._who),
            *self._segments(),
            *self._files_found(),
            *self._gpus(),
        ]
        ipc = self._own_ipc
        is_recorded = not isinstance(ipc, Gap) or ipc.reason != "not recorded"
        if not is_recorded:  # a row for each mount would say no more than that
            owners = [each for each in owners if each.held_bytes is not None]
        owners = [each for each in owners if each.held_bytes != 0]
        owners.sort(key=lambda each: (-(each.held_bytes or 0), each.kind, each.name))
        meminfo = self._files.parsed("proc/meminfo", parse_meminfo)
        figures = {} if isinstance(meminfo, Gap) else meminfo
        swap = None
        if "SwapTotal" in figures and "SwapFree" in figures:
            swap = figures["SwapTotal"] - figures["SwapFree"]
        gaps = [gap for gap in (self._mounts.gap, self._segment_gap) if gap is not None]
        return Owners(
            tuple(owners),
            figures.get("Shmem"),
            swap,
            self._looked_at,
            self._denied,
            is_complete,
            tuple(gaps),
            is_recorded,
        )

    # What a process holds.

    def _look(self, pid: int) -> None:
        mapped: list[tuple[int, int, File, str]] = []
        for piece in self._files.pieces(f"proc/{pid}/maps"):
            if isinstance(piece, Gap):
                if piece.reason == "denied" and not self._holds_nothing(pid):
                    self._denied += 1
                return
            mapped += map(_mapping, _MAPPED.findall(piece) if b" (deleted)\n" in piece else ())
        self._looked_at += 1
        self._mounts.meet(pid)
        holder = None
        unread: list[tuple[_Found, File]] = []
        for start, end, file, name in mapped:
            if (found := self._meet(pid, file, name)) is None:
                continue
            holder = holder or self._who(str(pid))
            if holder is not None:
                found.holders[pid] = holder
            if found.allocation is None:
                told = self._files.allocation(f"proc/{pid}/map_files/{start:x}-{end:x}")
                if not isinstance(told, Gap) and (told.device, told.inode) == file:
                    found.allocation = told
                else:
                    unread.append((found, file))
        self._look_at_files(pid, holder)
        if unread := [each for each in unread if each[0].allocation is None]:
            self._measure(pid, unread)

    def _meet(self, pid: int, file: File, name: str) -> _Found | None:
        """A file that may count; None: one of a disk, or a segment that is listed anyway."""
        kind = _kind_of(name)
        place = ""
        if kind is None and file[0] not in self._mounts.ways:
            return None
        if kind == "System V":
            place = self._namespace(pid)
        return self._found.setdefault((place, file), _Found(name))

    def _namespace(self, pid: int) -> str:
        """Of IPC, empty for memtui's own: others have segments of the same numbers."""
        namespace = self._files.link(f"proc/{pid}/ns/ipc")
        return "" if isinstance(namespace, Gap) or namespace == self._own_ipc else namespace

    def _look_at_files(self, pid: int, holder: Holder | None) -> None:
        directory = f"proc/{pid}/fd"
        for number in self._files.names(directory):
            name = self._files.link(f"{directory}/{number}")
            if isinstance(name, Gap):
                continue
            if name.startswith(_GPU_FILES):
                holder = holder or self._who(str(pid))
                self._look_at_gpu(pid, number, holder)
            elif name.endswith(_DELETED):
                name = name.removesuffix(_DELETED)
                if _kind_of(name) is None and not self._is_on_tmpfs(pid, number):
                    continue  # and never asked about: it may be on a server that is dead
                told = self._files.allocation(f"{directory}/{number}")
                if isinstance(told, Gap):
                    continue
                found = self._meet(pid, (told.device, told.inode), name)
                if found is not None:
                    found.allocation = told
                    holder = holder or self._who(str(pid))
                    if holder is not None:
                        found.holders[pid] = holder

    def _is_on_tmpfs(self, pid: int, number: str) -> bool:
        about = self._files.read(f"proc/{pid}/fdinfo/{number}")
        match = None if isinstance(about, Gap) else _MNT_ID.search(about)
        return match is not None and int(match[1]) in self._mounts.numbers

    def _look_at_gpu(self, pid: int, number: str, holder: Holder | None) -> None:
        client = self._files.parsed(f"proc/{pid}/fdinfo/{number}", parse_drm_fdinfo)
        if client is None or isinstance(client, Gap):
            return
        key: object = (client.device, client.number)
        if client.number is None:
            key = (pid, number)
        _, holders = self._clients.setdefault(key, (client, {}))
        if holder is not None:
            holders[pid] = holder

    def _measure(self, pid: int, unread: list[tuple[_Found, File]]) -> None:
        """What this process has of files that only its mappings tell of, from smaps."""
        mappings = read_mappings(self._files, pid)
        if not isinstance(mappings, Gap):
            for found, file in dict.fromkeys(unread):
                found.mapped_bytes = max(found.mapped_bytes, _has_of(mappings, file))

    def _holds_nothing(self, pid: int) -> bool:
        stat = self._files.parsed(f"proc/{pid}/stat", parse_identity)
        return isinstance(stat, Gap) or stat.is_kernel_thread or stat.state in ("Z", "X")

    def _who(self, process: str) -> Holder | None:
        stat = self._files.parsed(f"proc/{process}/stat", parse_identity)
        if isinstance(stat, Gap) or not process.isdecimal():
            return None
        status = self._files.read(f"proc/{process}/status")
        uids = (b"" if isinstance(status, Gap) else status_value(status, b"Uid") or b"").split()
        uid = int(uids[1]) if len(uids) > 1 and uids[1].isdigit() else None
        return Holder(ProcessKey(int(process), stat.starttime), stat.comm, uid)

    # What was found.

    def _segments(self) -> Iterator[Owner]:
        """Those of memtui's own IPC namespace, attached or not."""
        segments = self._files.parsed("proc/sysvipc/shm", parse_sysvipc_shm)
        self._segment_gap = None
        if isinstance(segments, Gap):
            # Built without System V IPC.
            self._segment_gap = None if segments.reason == "absent" else segments
            return
        by_number: dict[int, _Found] = {}
        for (place, (device, inode)), found in list(self._found.items()):
            if not place and _kind_of(found.name) == "System V":
                by_number[inode] = found
                del self._found[place, (device, inode)]
        for segment in segments:
            mapped = by_number.get(segment.shmid)
            words = [f"key {segment.key & 0xFFFFFFFF:#010x}", self._creator(segment)]
            if segment.attached == 0:
                words.append("attached by nobody: it stays until somebody removes it (ipcrm)")
            elif segment.attached is not None:
                times = (
                    "once" if segment.attached == 1 else f"{units.count(segment.attached)} times"
                )
                words.append(f"attached {times}")
            rss, swap = segment.rss_bytes, segment.swap_bytes
            is_huge = mapped is not None and self._is_huge(mapped)
            yield Owner(
                "hugetlb" if is_huge else "System V",
                f"shmid {segment.shmid}",
                None if rss is None else rss + (swap or 0),
                swap,
                segment.size_bytes,
                _by_pid(mapped.holders if mapped else {}),
                not is_huge,
                words=tuple(word for word in words if word),
            )

    def _creator(self, segment: Segment) -> str:
        pid = segment.creator_pid
        if pid is None:
            return ""
        creator = self._who(str(pid)) if pid > 0 else None
        if creator is None:
            return f"made by process {pid}, which has ended"
        machine = self._machine
        if segment.changed_s and machine.booted_s is not None and machine.ticks_per_s:
            began_s = machine.booted_s + creator.key.start_time_ticks / machine.ticks_per_s
            if began_s > segment.changed_s + 1:
                return f"made by process {pid}, which has ended; another has its number now"
        return f"made by process {pid} ({creator.name})"

    def _files_found(self) -> Iterator[Owner]:
        """Files of the kernel's own tmpfs, and those that were deleted on a mount of one."""
        for (place, (device, _)), found in self._found.items():
            told = found.allocation
            kind: Kind = _kind_of(found.name) or "deleted"
            words: list[str] = []
            if kind == "deleted":
                if told is not None and told.links:
                    continue  # its name ends like that
                point = self._mounts.ways[device][0][1].point
                words.append(f"counts in {point}: until nobody has it open any more")
            if place:
                words.append("in another IPC namespace")
            is_huge = self._is_huge(found)
            if is_huge:
                words.append("huge pages of the pool, which are not in Shmem")
            held = found.mapped_bytes if told is None else told.allocated_bytes
            if told is None:
                words.append("at least: only what a process has of it in memory may be read")
            yield Owner(
                "hugetlb" if is_huge else kind,
                _words_of(kind, found.name),
                held,
                None,
                None if told is None else told.size_bytes,
                _by_pid(found.holders),
                not is_huge and kind != "deleted",
                told is None,
                tuple(words),
            )

    def _is_huge(self, found: _Found) -> bool:
        """Whether it is of hugetlbfs, whose blocks are huge pages, as those of a tmpfs may be."""
        told = found.allocation
        if told is None or told.device == _KERNELS_OWN or told.device in self._mounts.ways:
            return False
        return told.block_bytes > self._machine.page_bytes

    def _gpus(self) -> Iterator[Owner]:
        for client, holders in self._clients.values():
            words = [f"driver {client.driver} {client.device}".rstrip()]
            if client.shared_bytes:
                words.append(f"up to {units.size(client.shared_bytes)} of it is others' too")
            words += [
                f"{region} {units.size(size)}"
                for region, size in client.resident_bytes.items()
                if size
            ]
            if not client.is_shmem:
                words.append("this driver's buffers are not in Shmem")
            number = "" if client.number is None else f" {client.number}"
            yield Owner(
                "GPU",
                f"{client.driver} client{number}",
                client.system_bytes,
                holders=_by_pid(holders),
                is_counted=client.is_shmem,
                words=tuple(words),
            )


def _mapping(groups: tuple[bytes, ...]) -> tuple[int, int, File, str]:
    start, end, major, minor, inode, name = groups
    device = (int(major, 16), int(minor, 16))
    return (
        int(start, 16),
        int(end, 16),
        (device, int(inode)),
        name.decode("utf-8", "surrogateescape"),
    )


def _has_of(mappings: Mappings, file: File) -> int:
    """What is in memory and swapped out of all mappings of a file."""
    device, inode = f"{file[0][0]:02x}:{file[0][1]:02x}", file[1]
    rows = [
        row
        for row, (its_inode, its_device) in enumerate(
            zip(mappings.inodes, mappings.devs, strict=True)
        )
        if its_inode == inode and its_device == device
    ]
    return sum(mappings.get(row, key) or 0 for row in rows for key in ("Rss", "Swap"))


def _kind_of(name: str) -> Kind | None:
    return next((kind for begin, kind in _NAMES if name.startswith(begin)), None)


def _words_of(kind: Kind, name: str) -> str:
    if kind == "shared":
        return "shared anonymous memory"
    return name.removeprefix("/memfd:") or "(without a name)" if kind == "memfd" else name


def _by_pid(holders: dict[int, Holder]) -> tuple[Holder, ...]:
    return tuple(holders[pid] for pid in sorted(holders))
