"""A compiled program whose memory is in known states, swap for it, and who may see its frames."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from memtui.kernel.files import Gap
from memtui.kernel.livefiles import LiveFiles
from memtui.kernel.pagemap import frame, read_page_flags, read_pagemap
from memtui.model.map.pages import PAGE_STATES, page_states
from memtui.ondemand.pages import PagesReading, read_pages
from tests.programs import key_of
from tests.squeeze import swap_file

FILES = LiveFiles()
PAGE = os.sysconf("SC_PAGE_SIZE")
HUGE_PAGE = Path("/sys/kernel/mm/transparent_hugepage")

# Memory in known states, printed as `name address pages`; then it does as it is told: `r`, `w` an
# address (says the signal's code and both faults), `o` an address and pages to page out, `m` to map.
_PROGRAM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static long page;
static sigjmp_buf back;
static volatile int code;

static void caught(int number, siginfo_t *info, void *context) {
    code = number * 1000 + info->si_code;
    siglongjmp(back, 1);
}

static char *map(long pages, int flags, int fd) {
    char *at = mmap(0, pages * page, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (at == MAP_FAILED) { perror("mmap"); exit(1); }
    return at;
}

static void say(const char *name, char *at, long pages) { printf("%s %p %ld\n", name, at, pages); }

static char *aligned(long bytes) {
    char *at = map((2 * bytes) / page, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    char *first = (char *)(((unsigned long)at + bytes - 1) / bytes * bytes);
    if (first > at) munmap(at, first - at);
    munmap(first + bytes, at + bytes - first);
    madvise(first, bytes, MADV_HUGEPAGE);
    return first;
}

int main(int argc, char **argv) {
    page = sysconf(_SC_PAGESIZE);
    long huge = page * page / 8;
    int none = MAP_PRIVATE | MAP_ANONYMOUS;
    volatile char seen;
    char *forked = map(8, none, -1);
    memset(forked, 1, 8 * page);
    if (!fork()) { prctl(PR_SET_PDEATHSIG, SIGKILL); for (;;) pause(); }
    forked[0] = 2;
    say("forked", forked, 8);
    char *anon = map(64, none, -1);
    madvise(anon, 64 * page, MADV_NOHUGEPAGE);
    for (int i = 0; i < 64; i += 3) anon[i * page] = 1;
    seen = anon[page];
    say("anon", anon, 64);
    char *shared = map(8, MAP_SHARED | MAP_ANONYMOUS, -1);
    memset(shared, 1, 4 * page);
    say("shared", shared, 8);
    char *file = map(8, MAP_PRIVATE, open(argv[1], O_RDWR));
    seen = file[0];
    file[page] = 1;
    say("file", file, 8);
    char *closed = map(4, none, -1);
    memset(closed, 1, 2 * page);
    mprotect(closed, 4 * page, PROT_NONE);
    say("closed", closed, 4);
    char *readonly = map(4, none, -1);
    memset(readonly, 1, 2 * page);
    mprotect(readonly, 4 * page, PROT_READ);
    say("readonly", readonly, 4);
    char *guarded = map(4, none, -1);
    memset(guarded, 1, 4 * page);
    if (!madvise(guarded + page, page, 102)) say("guarded", guarded, 4);
    char *hole = map(1024, none, -1);
    munmap(hole + 512 * page, page);
    say("hole", hole, 1024);
    char *whole = aligned(huge);
    whole[0] = 1;
    say("whole", whole, huge / page);
    char *zeros = aligned(huge);
    seen = zeros[0];
    say("zeros", zeros, huge / page);
    char *split = aligned(huge);
    split[0] = 1;
    mprotect(split + page, page, PROT_READ);
    say("split", split, huge / page);
    puts("ready");
    fflush(stdout);

    stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
    sigaltstack(&stack, 0);
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &action, 0);
    sigaction(SIGBUS, &action, 0);
    char line[100], what;
    void *at;
    long pages = 0;
    while (fgets(line, sizeof line, stdin)) {
        sscanf(line, "%c %p %ld", &what, &at, &pages);
        struct rusage before, after;
        code = 0;
        if (what == 'o') code = madvise(at, pages * page, MADV_PAGEOUT);
        if (what == 'm') mmap(at, pages * page, PROT_READ, MAP_FIXED_NOREPLACE | none, -1, 0);
        getrusage(RUSAGE_SELF, &before);
        if (!sigsetjmp(back, 1)) {
            if (what == 'r') seen = *(volatile char *)at;
            if (what == 'w') *(volatile char *)at = 7;
        }
        getrusage(RUSAGE_SELF, &after);
        printf("%d %ld %ld\n", code, after.ru_minflt - before.ru_minflt,
               after.ru_majflt - before.ru_majflt);
        fflush(stdout);
    }
}
"""


class Model:
    """The program at work: its regions as (address, pages), and what an access to it does."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self.regions: dict[str, tuple[int, int]] = {}
        assert child.stdout
        while (words := child.stdout.readline().split()) != ["ready"]:
            self.regions[words[0]] = int(words[1], 16), int(words[2])
        self.key = key_of(child.pid)

    def tell(self, command: str, address: int, pages: int = 1) -> tuple[int, int, int]:
        """Signal × 1000 + its code, or 0; minor faults; major faults."""
        assert self._child.stdin and self._child.stdout
        self._child.stdin.write(f"{command} {address:#x} {pages}\n")
        self._child.stdin.flush()
        code, minor, major = map(int, self._child.stdout.readline().split())
        return code, minor, major

    def address(self, region: str, page: int = 0) -> int:
        return self.regions[region][0] + page * PAGE

    def entries(self, region: str) -> array[int]:
        return self.reading(region).entries

    def reading(self, region: str, detailed: bool = False) -> PagesReading:
        address, pages = self.regions[region]
        reading = read_pages(FILES, self.key, address, pages, PAGE, detailed)
        assert isinstance(reading, PagesReading), reading
        assert len(reading.entries) == pages
        return reading

    def states(self, region: str, detailed: bool = False) -> list[str]:
        reading = self.reading(region, detailed)
        return [PAGE_STATES[index].name for index in page_states(reading.entries, reading.huge)]


@contextmanager
def running_model(directory: Path) -> Iterator[Model]:
    """The program above, compiled and running; skips where there is no compiler."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    source, program = directory / "model.c", directory / "model"
    source.write_text(_PROGRAM)
    subprocess.run(["cc", "-w", "-O0", "-o", program, source], check=True)
    (directory / "data").write_bytes(b"x" * 8 * PAGE)
    with subprocess.Popen(
        [program, directory / "data"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            yield Model(child)
        finally:
            child.kill()


def needs_frames() -> None:
    if os.geteuid() != 0 or isinstance(read_page_flags(FILES, 1), Gap):
        pytest.skip("needs root, and a kernel with /proc/kpageflags")
    here = ctypes.create_string_buffer(b"x")
    entries = read_pagemap(FILES, os.getpid(), ctypes.addressof(here), 1, PAGE)
    if isinstance(entries, Gap) or frame(entries[0]) is None:
        pytest.skip("needs CAP_SYS_ADMIN")


@contextmanager
def some_swap(directory: Path) -> Iterator[None]:
    """Swap space, for a while; skips where there is none and none can be made."""
    if len(Path("/proc/swaps").read_text().splitlines()) > 1:
        yield
        return
    if os.geteuid() != 0 or not shutil.which("mkswap") or not shutil.which("swapon"):
        pytest.skip("no swap, and only root can make some")
    with swap_file(directory, 16 << 20):
        yield
