"""The machine's figures at a moment, made by hand: what a test of views sets, and else a calm machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets._toast import Toast

from memtui.kernel.cgroups import Confinement, Level, MemoryGroup
from memtui.kernel.files import Gap
from memtui.kernel.pressure import Pressure, Stall
from memtui.model.sample import Sample
from memtui.model.shortage.alerts import AlertSettings
from memtui.session.inbox import Inbox
from memtui.session.session import Session
from memtui.settings.values import DEFAULTS
from memtui.tui import app as app_module
from memtui.tui.app import MemtuiApp
from memtui.tui.pages.events import EventTable
from tests.interface import Script, app_of, press, screen_text
from tests.samples import MIB, map_of, process, sample

BIG = process(10, "big", 500)
MAPS = {BIG.key: map_of(BIG.key, "big")}
NO_MEMINFO = Gap("proc/meminfo", "malformed", "'no colon'")
NO_VMSTAT = Gap("proc/vmstat", "denied")
PSI_OFF = Gap("proc/pressure/memory", "unsupported")
NO_PSI = Gap("proc/pressure/memory", "absent")

# Counters that rates are made of; all stand still.
VMSTAT = dict.fromkeys(
    (
        *("pgfault", "pgmajfault", "pgpgin", "pgpgout", "pswpin", "pswpout", "oom_kill"),
        *("pgscan_kswapd", "pgscan_direct", "pgsteal_kswapd", "pgsteal_direct"),
        *("pgscan_anon", "pgscan_file", "pgsteal_anon", "pgsteal_file", "allocstall_normal"),
        *("workingset_refault_anon", "workingset_refault_file", "compact_stall"),
    ),
    1000,
)


def moment(
    time_s: float,
    *,
    some_us: int = 0,
    full_us: int = 0,
    avg10: float = 0.0,
    vmstat: Mapping[str, int] | Gap | None = None,
    meminfo: Mapping[str, int] | Gap | None = None,
    pressure: Gap | None = None,
    confinement: Confinement | Gap | None = None,
    interval_s: float = 1.0,
    skipped: int = 0,
) -> Sample:
    """`vmstat` and `meminfo` are what differs from the calm machine's, or why there is none."""
    base = sample(time_s, BIG)
    calm = base.system.meminfo
    assert not isinstance(calm, Gap)
    stalls = Pressure(Stall(avg10, 0, 0, some_us), Stall(0, 0, 0, full_us))
    system = base.system._replace(
        meminfo=meminfo if isinstance(meminfo, Gap) else {**calm, **(meminfo or {})},
        vmstat=vmstat if isinstance(vmstat, Gap) else {**VMSTAT, **(vmstat or {})},
        pressure=pressure or stalls,
        confinement=confinement,
    )
    return base._replace(system=system, interval_s=interval_s, skipped=skipped)


def thrashing(time_s: float, since_s: float) -> Sample:
    """Pages come back, 4,000 a second, and tasks wait for them a fifth of the time."""
    seconds = int(time_s - since_s)
    grown = {
        "workingset_refault_anon": 1000 + 4000 * seconds,
        "pgmajfault": 1000 + 700 * seconds,
        "pswpin": 1000 + 4000 * seconds,
        "pgscan_direct": 1000 + 9000 * seconds,
        "pgscan_anon": 1000 + 9000 * seconds,
    }
    return moment(time_s, some_us=200_000 * seconds, full_us=30_000 * seconds, vmstat=grown)


def trouble(calm_s: int = 5, thrashing_s: int = 20, start_s: float = 1000.0) -> list[Sample]:
    """A machine that is well, and then thrashes."""
    begins_s = start_s + calm_s
    calm = [moment(start_s + second) for second in range(calm_s + 1)]
    return calm + [thrashing(begins_s + second, begins_s) for second in range(1, thrashing_s + 1)]


def confined(
    current_bytes: int | None = 300 * MIB,
    limit_bytes: int | None = 1536 * MIB,
    *,
    path: str = "/kubepods/pod7/shop",
    pressure: Pressure | Gap | None = None,
    **stat: int,
) -> Confinement:
    """A group of cgroup v2 around memtui."""
    directory = "sys/fs/cgroup" + path
    files = 100 * MIB
    counters = {
        "anon": 150 * MIB,
        "file": files,
        "active_file": files // 2,
        "inactive_file": files - files // 2,
        "pgfault": 1000,
        "pgmajfault": 1000,
        "workingset_refault_anon": 1000,
        **stat,
    }
    group = MemoryGroup(
        *(path, 2, current_bytes, None, limit_bytes, None, 0, 0, counters, {"max": 0}),
        pressure or Pressure(Stall(4.0, 3.0, 2.0, 0), Stall(1.0, 0.5, 0.2, 0)),
    )
    return Confinement(2, (Level(path, directory, current_bytes, limit_bytes),), group)


def dashboard(*samples: Sample) -> MemtuiApp:
    """The application with these samples in its inbox."""
    return app_of(samples, MAPS)


class Rung(MemtuiApp):
    """The application, which counts how often it rings the bell."""

    CSS_PATH = str(Path(app_module.__file__).with_name("memtui.tcss"))
    rung = 0

    def bell(self) -> None:
        self.rung += 1


def ringing(alerts: AlertSettings, *samples: Sample) -> Rung:
    """The application with these alerts, its samples in the inbox."""
    said = alerts._asdict()
    own = said.pop("own_actions")
    said |= {f"{name}_actions": actions for name, actions in own.items()}
    settings = DEFAULTS._replace(said_of_alerts=said)
    assert settings.alerts == alerts
    script = Script(MAPS)
    app = script.app = Rung(Session(script, settings), Inbox())
    for each in samples:
        app.deliver(each)
    return app


def toasts(app: MemtuiApp) -> list[str]:
    return [str(toast._notification.message) for toast in app.screen.query(Toast)]


async def events_page(app: MemtuiApp, pilot: Pilot[None]) -> list[str]:
    """The lines of the list of events."""
    app.clear_notifications()
    await press(pilot, "4", "left")
    region = app.query_one(EventTable).region
    return [line.strip() for line in screen_text(app)[region.y + 1 : region.bottom] if line.strip()]
