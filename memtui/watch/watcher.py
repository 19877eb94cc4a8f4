"""The watcher: a process that starts a program, stops at each of its events, and tells them.

It has one thread, for ptrace answers no other. It waits for signals alone: SIGCHLD says that somebody
under watch has stopped or ended, SIGIO that memtui wants something.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

from memtui.kernel import ptrace
from memtui.kernel.files import Files, Gap, defect_gap
from memtui.kernel.process import parse_status
from memtui.kernel.siginfo import CRASHES, SigInfo, signal_name
from memtui.model.keys import ProcessKey
from memtui.watch import program
from memtui.watch.looks import Looks, Watched
from memtui.watch.messages import Born, Ended, Freed, Happened, Holding, Lacking, Over
from memtui.watch.outgoing import Outgoing
from memtui.watch.story import Held, What
from memtui.watch.wish import Wishes

if TYPE_CHECKING:
    from memtui.watch.withoutptrace import LogOfFaults

_WALL: Final = 0x4000_0000  # __WALL: threads too
_WAKING: Final = (signal.SIGCHLD, signal.SIGIO)
_JOB_CONTROL: Final = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
# These come all the time and tell nothing of memory.
_UNTOLD: Final = (signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG)
_TICK_S: Final = 0.05
_TELL_S: Final = 0.02  # each telling wakes memtui, which may need the very processor of the program
_FIRST_TICK_S: Final = 0.005
_COST: Final = 30  # times what the looks took nothing is looked at: 3 % of a core
_LOOKS_S: Final = 0.003  # at one tick, of many processes
_GRACE_S: Final = 0.1  # for those who end with the first program
_HOLD_AT_MOST_S: Final = 30.0
_NAMED: Final = 5


@dataclass(slots=True)
class _Hold:
    """A process that stands still: the thread it happened in, and stops that must wait meanwhile."""

    tid: int
    number: int
    since_s: float
    deferred: list[tuple[int, int]] = field(default_factory=list)


class Watcher:
    """`holds`: who dies stands still for as long as it pleases memtui, and children that outlive the
    first program are watched on; without, for a while, and they go on unwatched.
    """

    def __init__(
        self,
        files: Files,
        command: Sequence[str],
        path: str,
        out: Outgoing,
        wishes: Wishes,
        *,
        holds: bool,
        unwatched: str,
    ) -> None:
        self._command = command
        self._path = path
        self._out = out
        self._wishes = wishes
        self._holds = holds
        self._unwatched = unwatched
        self._files = files
        self._start_s = time.monotonic()
        self._looks = Looks(files, out.tell, self.now_s)
        self._processes: dict[int, Watched] = {}
        self._tasks: dict[int, Watched] = {}
        # A new thread may stop before its maker tells of it.
        self._early: dict[int, int] = {}
        self._held: dict[int, _Hold] = {}
        self._go = -1  # nobody reads it any more when the program has begun
        self._is_killing = False
        self._leaves_s: float | None = None
        self._is_leaving = False
        self._left: set[int] = set()  # that went on unwatched
        self._first = 0
        self._turn = 0
        self._faults: LogOfFaults | None = None

    def run(self, streams: program.Streams, said: int) -> None:
        """Starts the program, and watches until all have ended. `said` gets its exec's failure."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _WAKING)
        self._wishes.ask_for_signals()
        theirs, ours = program.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            program.become(self._path, self._command, streams, theirs, said, before)
        # Ctrl+C is for the program. Not a group of the same session: a child's end would then hang up
        # its group, which is memtui's, where that has stopped jobs and no shell.
        os.setsid()
        self._start_s = time.monotonic()
        os.close(theirs)
        os.close(said)
        program.let_go_of(streams)
        self._first = pid
        self._add_process(pid, os.getpid(), is_first=True)
        self._seize(pid)
        os.write(ours, b"g")
        self._go = ours
        self._watch()
        self._out.tell(Over(self.now_s(), frozenset(self._left)))
        self._out.finish()

    def now_s(self) -> float:
        """Seconds since the first program's start."""
        return time.monotonic() - self._start_s

    def _seize(self, pid: int) -> None:
        if self._unwatched:
            why = (
                f"it is {self._unwatched}, and under watch it would run without these rights: "
                "it runs unwatched; as root it would not"
            )
            self._out.tell(Lacking(Gap(self._path, "unsupported", why)))
        else:
            try:
                ptrace.seize(pid, ptrace.FOLLOW | ptrace.EXIT_KILL)
            except OSError as error:
                why = (
                    f"{error.strerror}: only the program itself is seen, at looks now and then, and "
                    "how it ends; its children, and the memory it dies with, are not"
                )
                self._out.tell(Lacking(Gap("ptrace", "denied", why)))
            else:
                return
        from memtui.watch.withoutptrace import LogOfFaults  # and what knows the log, for 20 ms

        self._faults = LogOfFaults(self._files)

    # The loop.

    def _watch(self) -> None:
        tick_s = _FIRST_TICK_S
        next_s = time.monotonic() + tick_s
        tell_s = 0.0
        while self._processes or self._early:
            is_empty = self._drain(next_s)
            now_s = time.monotonic()
            if now_s >= next_s:
                self._obey()
                cost_s = self._tick()
                tick_s = max(min(2 * tick_s, _TICK_S), _COST * cost_s)
                now_s = time.monotonic()
                next_s = now_s + tick_s
            if now_s >= tell_s:
                self._out.flush()
                tell_s = now_s + _TELL_S
                if self._out.is_deaf:
                    return
            if is_empty and (self._processes or self._early):
                until_s = min(next_s, tell_s) if self._out.has_more else next_s
                woken = signal.sigtimedwait(_WAKING, max(0.0, until_s - now_s))
                if woken is not None and woken.si_signo == signal.SIGIO:
                    self._obey()

    def _drain(self, until_s: float) -> bool:
        """Takes what has stopped or ended; False where there may be more by the time of the next tick."""
        while True:
            try:
                tid, status = os.waitpid(-1, os.WNOHANG | _WALL)
            except ChildProcessError:
                self._processes.clear()
                self._early.clear()
                return True
            if tid == 0:
                return True
            self._take(tid, status)
            if time.monotonic() >= until_s:
                return False

    def _tick(self) -> float:
        """Looks at the first program and, in turn, at others; what that took. Not at who is ending."""
        begun_s = time.monotonic()
        pids = list(self._processes)
        for step in range(len(pids)):
            process = self._processes[pids[(self._turn + step) % len(pids)] if step else pids[0]]
            if process.pid in process.tids:
                self._looks.look(process)
            elif process.tids:
                self._looks.look(process, min(process.tids))
            if time.monotonic() - begun_s > _LOOKS_S:
                self._turn += step
                break
        self._adopt()
        self._begin_unwatched()
        if not self._holds:
            for pid, hold in list(self._held.items()):
                if begun_s - hold.since_s > _HOLD_AT_MOST_S:
                    self._free(pid)
        if self._leaves_s is not None and begun_s >= self._leaves_s:
            self._leave()
        return time.monotonic() - begun_s

    def _adopt(self) -> None:
        """Those whose maker was killed before it could tell of them, or has had no processor for it."""
        for tid in list(self._early):
            status = self._files.parsed(f"proc/{tid}/status", parse_status)
            known: Mapping[str, int | str] = {} if isinstance(status, Gap) else status
            group = int(known.get("Tgid", 0))
            if group == tid or group in self._processes:
                self._born(tid, group, int(known.get("PPid", 0)))
            else:
                del self._early[tid]
                self._resume(tid)

    def _begin_unwatched(self) -> None:
        """Whose exec is not told by ptrace has begun when it has closed its end of the pipe."""
        process = self._processes.get(self._first)
        if self._faults is None or process is None or process.has_begun:
            return
        end = select.poll()
        end.register(self._go, 0)
        if end.poll(0):
            self._looks.exec(process, is_late=True)

    def _obey(self) -> None:
        for wish, number in self._wishes.take():
            if wish == "kill":
                self._kill()
            elif wish == "signal" and self._first in self._processes:
                os.kill(self._first, number)
            elif wish == "let go":
                pid = next((pid for pid, hold in self._held.items() if hold.tid == number), None)
                if pid is not None:
                    self._free(pid)
        if self._wishes.is_closed:
            os._exit(1)  # memtui is gone: those under watch die with their watcher

    def _kill(self) -> None:
        self._is_killing = True
        for pid in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # What waitpid said.

    def _take(self, tid: int, status: int) -> None:
        process = self._tasks.get(tid)
        if not os.WIFSTOPPED(status):
            self._gone(tid, status)
        elif process is None:
            self._early[tid] = status
        elif self._is_leaving:
            self._detach(process, tid, status)
        else:
            event = status >> 16
            hold = self._held.get(process.pid)
            if hold is not None and event != ptrace.EXIT:
                hold.deferred.append((tid, status))
                return
            try:
                self._stopped(process, tid, event, os.WSTOPSIG(status))
            except ProcessLookupError:
                return  # it was killed where it stood

    def _stopped(self, process: Watched, tid: int, event: int, number: int) -> None:
        if event == 0:
            self._signalled(process, tid, number)
        elif event == ptrace.STOP:
            self._at_stop(process, tid, number)
        elif event == ptrace.EXEC:
            self._became(process, tid)
            self._resume(tid)
        elif event == ptrace.EXIT:
            self._exits(process, tid)
            self._resume(tid)
        else:
            self._made(process, ptrace.event_message(tid), event)
            self._resume(tid)

    def _made(self, process: Watched, new: int, event: int) -> None:
        """It tells of a thread or process that it has made; which may have been adopted by now, or be
        gone again: then nobody would tell its end.
        """
        if new in self._tasks or (new not in self._early and not self._is_traced(new)):
            return
        # A clone may be either: a thread is in its maker's group.
        is_thread = event == ptrace.CLONE and not isinstance(
            self._files.stat(f"proc/{process.pid}/task/{new}"), Gap
        )
        self._born(new, process.pid if is_thread else new, process.pid)

    def _is_traced(self, tid: int) -> bool:
        """Whether its end is still to come; one that was told may be a zombie, for its maker to take."""
        status = self._files.read_record(f"proc/{tid}/status")
        return not isinstance(status, Gap) and b"\nTracerPid:\t0\n" not in status

    def _born(self, tid: int, group: int, parent: int) -> None:
        if group == tid:
            self._add_process(tid, parent)
        else:
            process = self._processes[group]
            self._tasks[tid] = process
            process.tids.add(tid)
            process.threads = max(process.threads, len(process.tids))
            process.threads_born += 1
        status = self._early.pop(tid, None)
        if status is not None:
            self._take(tid, status)

    def _add_process(self, pid: int, parent: int, *, is_first: bool = False) -> None:
        self._processes[pid] = self._tasks[pid] = Watched(
            pid, is_first, tids={pid}, has_begun=not is_first
        )
        self._out.tell(Born(self.now_s(), pid, parent))
        if self._is_killing:
            self._kill()

    def _at_stop(self, process: Watched, tid: int, number: int) -> None:
        if number not in _JOB_CONTROL:
            self._resume(tid)  # a new one, or one that goes on
            return
        if not process.is_stopped:
            process.is_stopped = True
            self._tell(process, "stopped", signal_name(number))
        ptrace.listen(tid)

    def _became(self, process: Watched, tid: int) -> None:
        """An exec ends all threads but the one that called it, which gets the first one's id."""
        self._looks.flush(process)
        for other in process.tids - {tid}:
            self._tasks.pop(other, None)
        self._tasks[tid] = process
        process.tids = {tid}
        self._looks.exec(process)
        gain = program.gains_privileges(f"/proc/{process.pid}/exe")
        if gain:
            words = f"it is {gain}, but runs without these rights: it is under watch"
            self._tell(process, "note", words)

    def _exits(self, process: Watched, tid: int) -> None:
        """A thread's last moment. The first one's may be the last of the memory too; so may that of the
        last of the others, where the first one has left before.
        """
        hold = self._held.get(process.pid)
        if hold is not None and hold.tid == tid:  # killed as it stood still
            self._free(process.pid)
        process.tids.discard(tid)
        if tid == process.pid:
            self._looks.look(process, at_stop=True)
            return
        process.threads_ended += 1
        if not process.tids:
            self._looks.look(process, tid, at_stop=True)

    def _gone(self, tid: int, status: int) -> None:
        process = self._tasks.pop(tid, None)
        if process is None:
            self._early.pop(tid, None)
            return
        process.tids.discard(tid)
        if tid != process.pid:
            return
        for other in process.tids:
            self._tasks.pop(other, None)
        self._held.pop(process.pid, None)
        self._looks.flush(process)
        if self._faults is not None:
            self._look_in_log(process, status)
        self._processes.pop(process.pid, None)
        self._out.tell(Ended(self.now_s(), process.pid, status))
        if process.is_first and not self._holds:
            self._leaves_s = time.monotonic() + _GRACE_S

    def _look_in_log(self, process: Watched, status: int) -> None:
        if self._faults is None or not os.WIFSIGNALED(status):
            return
        found = self._faults.of(process.pid)
        if isinstance(found, Gap):
            self._out.tell(Lacking(found))
        elif found:
            self._tell(process, "note", f"the kernel's log: {found}")

    # Signals.

    def _signalled(self, process: Watched, tid: int, number: int) -> None:
        if number in CRASHES:
            if self._looks.will_end(tid, number):
                self._hold(process, tid, number)
                return
            self._count(process, f"{signal_name(number)}, caught")
        elif number == signal.SIGCONT:
            process.is_stopped = False
            self._count(process, f"{signal_name(number)}, continued")
        elif number not in _UNTOLD:
            self._count(process, signal_name(number))
        self._resume(tid, number)

    def _count(self, process: Watched, name: str) -> None:
        process.signals[name] = process.signals.get(name, 0) + 1

    def _hold(self, process: Watched, tid: int, number: int) -> None:
        """It stands still with all its threads, so that its memory stays as it was."""
        info = ptrace.signal_info(tid)
        registers = ptrace.registers(tid)
        self._held[process.pid] = _Hold(tid, number, time.monotonic())
        for other in process.tids - {tid}:
            with contextlib.suppress(OSError):
                ptrace.interrupt(other)
        self._looks.look(process)
        key = ProcessKey(process.pid, process.figures.start_time_ticks or 0)
        siginfo = SigInfo(number, 0) if isinstance(info, Gap) else info
        self._out.tell(Holding(self.now_s(), Held(key, tid, siginfo, registers)))
        self._out.flush()

    def _free(self, pid: int) -> None:
        hold = self._held.pop(pid)
        self._out.tell(Freed(hold.tid))
        self._resume(hold.tid, hold.number)
        for tid, status in hold.deferred:
            self._take(tid, status)

    # Going on.

    def _resume(self, tid: int, number: int = 0) -> None:
        try:
            ptrace.go_on(tid, number)
        except OSError as error:
            if error.errno != errno.ESRCH:  # else it was killed meanwhile
                raise

    def _leave(self) -> None:
        """Those that outlive the first program live on, unwatched and without us."""
        if self._held or self._is_killing or self._is_leaving:
            return
        self._is_leaving = True
        left = list(self._processes.values())
        names = ", ".join(f"{each.figures.name or '?'} ({each.pid})" for each in left[:_NAMED])
        if len(left) > _NAMED:
            names += f" and {len(left) - _NAMED} more"
        words = f"{names} outlived the first program, and went on unwatched"
        self._out.tell(Happened(self.now_s(), self._first, "note", words))
        for tid in list(self._tasks):
            with contextlib.suppress(OSError):
                ptrace.interrupt(tid)

    def _detach(self, process: Watched, tid: int, status: int) -> None:
        event = status >> 16
        if event in (ptrace.FORK, ptrace.VFORK, ptrace.CLONE):
            with contextlib.suppress(OSError):
                new = ptrace.event_message(tid)
                self._tasks[new] = process
                process.tids.add(new)
                early = self._early.pop(new, None)
                if early is not None:
                    self._detach(process, new, early)
        with contextlib.suppress(OSError):
            ptrace.detach(tid, os.WSTOPSIG(status) if event == 0 else 0)
        self._tasks.pop(tid, None)
        process.tids.discard(tid)
        if not process.tids:
            self._processes.pop(process.pid, None)
            self._left.add(process.pid)

    def _tell(self, process: Watched, what: What, name: str) -> None:
        self._out.tell(Happened(self.now_s(), process.pid, what, name))


def watch(watcher: Watcher, streams: program.Streams, said: int, out: Outgoing) -> NoReturn:
    """In a new process: runs the watcher to its end. Never returns, and never raises."""
    try:
        ptrace.die_with_parent()
        for number in signal.valid_signals():
            # What memtui handles is the watcher's no more; what is ignored, by nohup, stays so.
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        watcher.run(streams, said)
        os._exit(0)
    except BaseException as error:
        with contextlib.suppress(Exception):
            if isinstance(error, Exception):
                out.tell(Lacking(defect_gap("the watcher", error)))
            out.tell(Over(watcher.now_s()))
            out.flush()
    finally:
        os._exit(1)
