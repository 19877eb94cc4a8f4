"""One look at the machine's own figures, without its processes: what reports speak of."""

from __future__ import annotations

from memtui.kernel.accounts import read_accounts
from memtui.kernel.cgroups import Confinement, parse_cgroup, read_confinement
from memtui.kernel.files import Files, Gap
from memtui.kernel.meminfo import parse_meminfo
from memtui.kernel.pressure import parse_pressure
from memtui.kernel.uptime import read_uptime_s
from memtui.kernel.vmstat import parse_vmstat
from memtui.live.machine import page_bytes_of
from memtui.model.sample import Sample, SystemSample


def look(files: Files) -> Sample:
    """The same figures that a view's sample has, of this moment."""
    system = SystemSample(
        files.parsed("proc/meminfo", parse_meminfo),
        files.parsed("proc/vmstat", parse_vmstat),
        files.parsed("proc/pressure/memory", parse_pressure),
        _confinement(files),
        accounts=read_accounts(files, page_bytes_of(files)),
    )
    return Sample(read_uptime_s(files) or 0.0, 1.0, system, {})


def _confinement(files: Files) -> Confinement | Gap | None:
    memberships = files.parsed("proc/self/cgroup", parse_cgroup)
    if isinstance(memberships, Gap):
        return memberships
    return read_confinement(files, memberships, always=True)
