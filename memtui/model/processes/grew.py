"""What grew between two moments: processes one by one, or together by name, user or control group."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple

from memtui.model.cgroups.names import readable_group
from memtui.model.keys import ProcessKey
from memtui.model.processes.use import Look, Use

Became = Literal["grew", "shrank", "same", "born", "ended", "came and went"]
By = Literal["name", "user", "cgroup"]
BYS: Final[tuple[By, ...]] = ("name", "user", "cgroup")


class Grown(NamedTuple):
    """A process, by its pid, or a group of so many `processes`, of whom so many were `born` and `ended`.

    Bytes are RSS and swap: 0 where it was not there. `most_bytes` is the most that was seen of one that
    came and went, else of its ends.
    """

    became: Became
    name: str
    pid: int | None
    before_bytes: int
    after_bytes: int
    most_bytes: int
    processes: int = 1
    born: int = 0
    ended: int = 0

    @property
    def gained_bytes(self) -> int:
        return self.after_bytes - self.before_bytes


_Of = dict[tuple[str, ProcessKey], Use]


def grown(before: Look, after: Look, between: Iterable[Look] = ()) -> list[Grown]:
    """Every process at either moment, and those in between that were at neither; what gained most first.

    A pid that came back is another process.
    """
    old, new, passing = _of(before), _of(after), _passing(before, after, between)
    found = [
        _process(key, old.get((boot, key)), new.get((boot, key)), 0) for boot, key in {**old, **new}
    ]
    found += [_process(key, None, None, use.rss_bytes, use) for (_, key), use in passing.items()]
    return _sorted(found)


def grown_by(
    before: Look,
    after: Look,
    by: By,
    user: Callable[[int | None], str],
    between: Iterable[Look] = (),
) -> list[Grown]:
    """The same together, by sums of RSS, which count a page for each that shares it."""

    def name_of(use: Use) -> str:
        if by == "name":
            return use.name
        if by == "user":
            return user(use.uid)
        return "?" if use.cgroup is None else readable_group(use.cgroup)

    looks = [before, *between, after]
    sums: dict[str, list[int]] = {}
    members: dict[str, set[tuple[str, ProcessKey]]] = {}
    for at, look in enumerate(looks):
        for key, use in _of(look).items():
            name = name_of(use)
            sums.setdefault(name, [0] * len(looks))[at] += use.rss_bytes
            members.setdefault(name, set()).add(key)
    old, new = _of(before), _of(after)
    found = []
    for name, sizes in sums.items():
        own = members[name]
        was, now = len(own & old.keys()), len(own & new.keys())
        found.append(
            Grown(
                *(_became(sizes[0], sizes[-1], was, now), name, None),
                *(sizes[0], sizes[-1], max(sizes)),
                *(len(own), len(own) - was, len(own) - now),
            )
        )
    return _sorted(found)


def _of(look: Look) -> _Of:
    return {(look.boot, key): use for key, use in look.uses.items()}


def _passing(before: Look, after: Look, between: Iterable[Look]) -> _Of:
    """Those that came and went, with the most that was seen of each."""
    ends = _of(before).keys() | _of(after).keys()
    found: _Of = {}
    for look in between:
        for key, use in _of(look).items():
            if key not in ends and (key not in found or use.rss_bytes > found[key].rss_bytes):
                found[key] = use
    return found


def _process(
    key: ProcessKey, was: Use | None, now: Use | None, most: int, passed: Use | None = None
) -> Grown:
    use = now or was or passed
    assert use is not None
    before, after = was.rss_bytes if was else 0, now.rss_bytes if now else 0
    became = _became(before, after, was is not None, now is not None)
    return Grown(
        *(became, use.name, key.pid, before, after, max(before, after, most)),
        born=int(was is None),
        ended=int(now is None),
    )


def _became(before: int, after: int, was: int, now: int) -> Became:
    """`was` and `now`: whether, or how many, were there."""
    if not was:
        return "born" if now else "came and went"
    if not now:
        return "ended"
    return "grew" if after > before else "shrank" if after < before else "same"


def _sorted(found: Iterable[Grown]) -> list[Grown]:
    """What gained most first; of what gained nothing the largest."""
    return sorted(
        found, key=lambda each: (each.gained_bytes, each.most_bytes, each.name), reverse=True
    )
