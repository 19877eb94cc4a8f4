"""What is remembered of samples, taken in their order: by the session of those that come, by the past
of those that were kept. The same samples make the same memory."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from memtui.kernel.cgroups import Confinement
from memtui.model.keys import ProcessKey
from memtui.model.processes.rates import Rates, RateTracker
from memtui.model.sample import Sample
from memtui.model.shortage.events import Event
from memtui.session.history import GrowthTracker
from memtui.session.scope import Scope, of_group
from memtui.session.seen import Seen
from memtui.settings.values import Settings

if TYPE_CHECKING:
    from memtui.model.oom.obituary import Obituary


class Memory:
    """The last hour as the host and as the group around memtui. `last` is each one's last sample."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._group: str | None = None  # whose hour the scope's is
        self._tracker = RateTracker()
        self.growth = GrowthTracker()
        self.seen: dict[Scope, Seen] = {"host": Seen(settings), "group": Seen(settings)}
        # The host's, and the group's where it has a limit.
        self.last: Mapping[Scope, Sample] = {}

    @property
    def rates(self) -> Mapping[ProcessKey, Rates]:
        """Faults a second of processes whose details are read."""
        return self._tracker.rates

    def warm(self, samples: Mapping[Scope, Sample]) -> None:
        """Takes in the machine's own figures alone, of samples that have no processes."""
        self._turn_to(samples)
        for scope, sample in samples.items():
            self.seen[scope].record(sample)

    def take(
        self,
        samples: Mapping[Scope, Sample],
        deaths: Sequence[tuple[Event, Obituary]] = (),
    ) -> Mapping[Scope, Sequence[Event]]:
        """Both scopes see every sample, so that each has its hour when it is switched to.

        What happened in each.
        """
        host = samples["host"]
        self.growth.record(host)
        self._tracker.record(host.details)
        self._turn_to(samples)
        events = {}
        for scope, sample in samples.items():
            died = deaths if scope == "host" else of_group(sample, deaths)
            events[scope] = self.seen[scope].record(sample, died)
        self.last = samples
        return events

    def _turn_to(self, samples: Mapping[Scope, Sample]) -> None:
        group = _group(samples)
        if group is not None and group != self._group:
            if self._group is not None:
                self.seen["group"] = Seen(self._settings)  # another one binds: its hour begins
            self._group = group

    def still(self) -> Memory:
        """As it is now, whatever is taken after."""
        memory = copy.copy(self)
        memory.growth = self.growth.still()
        memory._tracker = RateTracker()
        memory._tracker.rates = dict(self._tracker.rates)
        memory.seen = {scope: seen.still() for scope, seen in self.seen.items()}
        for seen in memory.seen.values():
            seen.history = seen.history.until(seen.history.end_s)
        return memory


def _group(samples: Mapping[Scope, Sample]) -> str | None:
    """Which group is the scope's."""
    if "group" not in samples:
        return None
    confinement = samples["group"].system.confinement
    return confinement.group.path if isinstance(confinement, Confinement) else None
