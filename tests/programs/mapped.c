/* An address space with every kind of mapping, and what each is, for the tests of kinds and labels.
 *
 *     mapped DIRECTORY [segments | hugetlb]
 *
 * For each mapping a line: KEY kind START END WORDS, separated by tabs, addresses in hex, 0 where
 * this program cannot know the address. WORDS is the label, empty where any will do. Then "ready";
 * then a command a line is obeyed, answered with more such lines and "ready". It ends with its input,
 * and leaves /dev/shm/kept-PID behind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/aio_abi.h>
#include <linux/perf_event.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#define PR_SET_VMA_ 0x53564d41
#define MAP_DROPPABLE_ 0x08
#define MFD_HUGETLB_ 4U
#define SYS_MSEAL_ 462
#define HUGE_SIZE (2UL << 20)

enum { THREADS = 4 };

static const volatile char constants[30000] = {1};
static volatile char initialised[50000] = {1};
static volatile char zeroes[300000];

static uintptr_t next_place = 1UL << 44;
static size_t page;
static char directory[4096];

/* A place of its own for each mapping: no neighbour that the kernel could merge it with. */
static void *place(void) {
    void *here = (void *)next_place;
    next_place += 64UL << 20;
    return here;
}

static void say(const char *key, const char *kind, const void *start, size_t size,
                const char *words) {
    uintptr_t from = (uintptr_t)start;
    printf("%s\t%s\t%lx\t%lx\t%s\n", key, kind, (unsigned long)from,
           (unsigned long)(size ? from + size : 0), words);
}

static void *map(const char *key, const char *kind, size_t size, int protection, int flags, int fd,
                 const char *words) {
    char *at = mmap(place(), size, protection, flags | MAP_FIXED_NOREPLACE, fd, 0);
    if (at == MAP_FAILED) {
        fprintf(stderr, "%s: %s\n", key, strerror(errno));
        return NULL;
    }
    if (protection & PROT_WRITE)
        memset(at, 1, page);
    say(key, kind, at, size, words);
    return at;
}

static const int PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS;
static const int SHARED = MAP_SHARED | MAP_ANONYMOUS;
static const int RW = PROT_READ | PROT_WRITE;

/* What the dynamic linker says of each object: where its segments lie, and what is read-only. */
static int say_segments(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    const char *slash = strrchr(info->dlpi_name, '/');
    char program[4096] = {0}, words[5000];
    if (!info->dlpi_name[0] && readlink("/proc/self/exe", program, sizeof program - 1) > 0)
        slash = strrchr(program, '/');
    if (!slash) /* the vdso */
        return 0;
    const char *name = slash + 1;
    uintptr_t relro = 0, relro_end = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type == PT_GNU_RELRO) {
            relro = (info->dlpi_addr + header->p_vaddr) / page * page;
            relro_end = (info->dlpi_addr + header->p_vaddr + header->p_memsz) / page * page;
        }
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD)
            continue;
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        uintptr_t end = (start + header->p_filesz + page - 1) / page * page;
        uintptr_t zeroed = (start + header->p_memsz + page - 1) / page * page;
        start = start / page * page;
        const char *kind = header->p_flags & PF_X ? "text" : "rodata";
        const char *what = header->p_flags & PF_X ? "program code" : "read-only data";
        if (header->p_flags & PF_W) {
            if (start == relro && relro_end > start) {
                snprintf(words, sizeof words, "%s: data made read-only after linking (RELRO)", name);
                say("-", "relro", (void *)start, relro_end - start, words);
                start = relro_end;
            }
            kind = "data";
            what = "initialised data";
        }
        if (end > start) {
            snprintf(words, sizeof words, "%s: %s", name, what);
            say("-", kind, (void *)start, end - start, words);
        }
        if (zeroed > end) {
            snprintf(words, sizeof words, "%s: zero-initialised data (bss)", name);
            say("-", "bss", (void *)end, zeroed - end, words);
        }
    }
    return 0;
}

static pthread_barrier_t started, more;
static volatile uintptr_t arena_of[THREADS];
static pthread_t threads[THREADS];
static volatile int tids[THREADS];

static void *work(void *number) {
    long me = (long)number;
    arena_of[me] = (uintptr_t)malloc(1000) & ~((64UL << 20) - 1);
    tids[me] = (int)syscall(SYS_gettid);
    pthread_barrier_wait(&started);
    for (;;) {
        pthread_barrier_wait(&more);
        for (int i = 0; i < 100; i++) /* below the size from which malloc maps it apart */
            memset(malloc(100000), 1, 100000);
        pthread_barrier_wait(&more);
    }
    return NULL;
}

static void say_arenas(void) {
    for (int i = 0; i < THREADS; i++) {
        char key[20];
        snprintf(key, sizeof key, "arena%d", i);
        say(key, "heap", (void *)arena_of[i], 0, "glibc arena: malloc's heap for other threads");
        snprintf(key, sizeof key, "reserve%d", i);
        printf("%s\tguard\t0\t%lx\tno access: reserved for a glibc arena\n", key,
               (unsigned long)(arena_of[i] + (64UL << 20)));
    }
}

static void start_threads(void) {
    char name[16], words[100], key[20];
    pthread_barrier_init(&started, NULL, THREADS + 1);
    pthread_barrier_init(&more, NULL, THREADS + 1);
    for (long i = 0; i < THREADS; i++) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, (i + 1) << 18);
        pthread_attr_setguardsize(&attributes, page << i);
        if (pthread_create(&threads[i], &attributes, work, (void *)i))
            abort();
        snprintf(name, sizeof name, "worker (%ld)", i);
        pthread_setname_np(threads[i], name);
    }
    pthread_barrier_wait(&started);
    for (int i = 0; i < THREADS; i++) {
        pthread_attr_t attributes;
        void *stack;
        size_t size, guard;
        pthread_getattr_np(threads[i], &attributes);
        pthread_attr_getstack(&attributes, &stack, &size);
        pthread_attr_getguardsize(&attributes, &guard);
        snprintf(key, sizeof key, "stack%d", i);
        snprintf(words, sizeof words, "stack of thread %d worker (%d)", tids[i], i);
        say(key, "thread_stack", stack, size, words);
        snprintf(key, sizeof key, "guard%d", i);
        snprintf(words, sizeof words, "guard below the stack of thread %d worker (%d)", tids[i], i);
        say(key, "guard", (char *)stack - guard, guard, words);
    }
    say_arenas();
}

static int file(const char *name, int flags) {
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_RDWR | O_CREAT | flags, 0600);
    if (fd < 0 || ftruncate(fd, 8 * (off_t)page))
        abort();
    return fd;
}

static int shared_memory(const char *name) {
    char path[100];
    int fd;
    snprintf(path, sizeof path, "/%s-%d", name, getpid());
    fd = shm_open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, 8 * (off_t)page))
        abort();
    return fd;
}

static int memory_file(const char *name, unsigned flags, size_t size) {
    int fd = (int)syscall(SYS_memfd_create, name, flags);
    if (fd >= 0 && ftruncate(fd, (off_t)size))
        abort();
    return fd;
}

static void map_system_v(const char *key, int ipc_key, size_t size, int flags, const char *kind,
                         const char *before) {
    char words[200];
    int id = shmget(ipc_key, size, IPC_CREAT | 0600 | flags);
    if (id < 0) {
        fprintf(stderr, "%s: %s\n", key, strerror(errno));
        return;
    }
    char *at = shmat(id, place(), 0);
    shmctl(id, IPC_RMID, NULL); /* gone with the last who has it attached */
    if (at == (void *)-1)
        abort();
    memset(at, 1, page);
    snprintf(words, sizeof words, "%sSystem V shared memory, id %d, key 0x%08x", before, id, ipc_key);
    say(key, kind, at, size, words);
}

static void map_anonymous(void) {
    size_t size = 16 * page;
    map("anon", "anon", size, RW, PRIVATE, -1, "anonymous memory");
    map("read-only", "anon", size, PROT_READ, PRIVATE, -1, "anonymous memory, read-only");
    map("reserved", "guard", 256UL << 20, PROT_NONE, PRIVATE | MAP_NORESERVE, -1,
        "no access: address space reserved for later");
    next_place += 256UL << 20;
    map("guard", "guard", page, PROT_NONE, PRIVATE, -1,
        "no access: a guard against overruns, or reserved");
    map("wx", "jit", size, RW | PROT_EXEC, PRIVATE, -1, "code generated at run time (JIT)");
    map("jit", "jit", size, PROT_READ | PROT_EXEC, PRIVATE, -1, "code generated at run time (JIT)");
    map("shared", "shm", size, RW, SHARED, -1, "shared anonymous memory");
    void *locked = map("locked", "anon", size, RW, PRIVATE, -1, "anonymous memory");
    if (mlock(locked, size))
        fprintf(stderr, "locked: %s\n", strerror(errno));
    map("grows", "anon", size, RW, PRIVATE | MAP_GROWSDOWN, -1,
        "anonymous memory that grows downwards, as a stack does");
    void *named = mmap(place(), size, RW, PRIVATE, -1, 0);
    if (prctl(PR_SET_VMA_, 0, named, size, "buffers") == 0)
        say("named", "anon", named, size, "anonymous memory named buffers by its program");
    else
        say("-", "anon", named, size, "anonymous memory");
    char *huge = map("transparent", "anon", 8 * HUGE_SIZE, RW, PRIVATE, -1, "anonymous memory");
    madvise(huge, 8 * HUGE_SIZE, MADV_HUGEPAGE);
    madvise(huge, page, MADV_DONTNEED); /* its first touch made a small page */
    memset(huge, 1, 8 * HUGE_SIZE);
    int zero = open("/dev/zero", O_RDWR);
    map("zero", "anon", size, RW, MAP_PRIVATE, zero, "anonymous memory, mapped from /dev/zero");
    map("shared-zero", "shm", size, RW, MAP_SHARED, zero, "shared anonymous memory");
    /* Looks like a stack, and is none: closed pages between pieces that are little larger. */
    char *pieces = mmap(place(), 8 * page, PROT_NONE, PRIVATE, -1, 0);
    mprotect(pieces + 3 * page, 5 * page, RW);
    say("piece", "anon", pieces + 3 * page, 5 * page, "anonymous memory");
    say("-", "guard", pieces, 3 * page, "");
    if (prctl(PR_SET_NAME, "mapped"))
        abort();
}

static void map_shared(void) {
    size_t size = 8 * page;
    char words[300];
    int fd = memory_file("frames one", 0, size);
    map("memfd", "shm", size, RW, MAP_SHARED, fd,
        "memfd frames one: memory with a file descriptor");
    map("memfd-private", "file", size, RW, MAP_PRIVATE, fd, "memfd frames one: private copy");
    map("memfd-exec", "jit", size, PROT_READ | PROT_EXEC, MAP_SHARED, fd,
        "memfd frames one: code generated at run time (JIT)");
    map_system_v("sysv", IPC_PRIVATE, size, 0, "shm", "");
    map_system_v("sysv-key", 0x6d656d00 ^ getpid(), size, 0, "shm", "");
    snprintf(words, sizeof words, "POSIX shared memory /kept-%d", getpid());
    map("posix", "shm", size, RW, MAP_SHARED, shared_memory("kept"), words);
    snprintf(words, sizeof words, "POSIX shared memory /gone-%d, unlinked", getpid());
    fd = shared_memory("gone");
    char name[100];
    snprintf(name, sizeof name, "/gone-%d", getpid());
    shm_unlink(name);
    map("posix-unlinked", "shm", size, RW, MAP_SHARED, fd, words);
}

static void map_files(void) {
    size_t size = 4 * page;
    char from[8192], words[300];
    map("file", "file", size, PROT_READ, MAP_PRIVATE, file("plain", 0), "plain: file, read only");
    map("file-shared", "file", size, RW, MAP_SHARED, file("shared", 0),
        "shared: file, writes go to it");
    map("file-private", "file", size, RW, MAP_PRIVATE, file("private", 0),
        "private: file, writes stay in this process");
    map("blanks", "file", size, PROT_READ, MAP_SHARED, file(" two  blanks ", 0),
        " two  blanks : file, read only");
    map("newline", "file", size, PROT_READ, MAP_SHARED, file("new\nline", 0),
        "new\\012line: file, read only");
    int fd = file("deleted", 0);
    snprintf(from, sizeof from, "%s/deleted", directory);
    unlink(from);
    map("deleted", "file", size, PROT_READ, MAP_SHARED, fd,
        "deleted: file, deleted while mapped: the process still uses the old one");
    fd = file("written", 0);
    snprintf(from, sizeof from, "%s/written", directory);
    unlink(from);
    map("deleted-jit", "jit", size, PROT_READ | PROT_EXEC, MAP_SHARED, fd,
        "written: code generated at run time (JIT)");
    fd = open("/proc/self/exe", O_RDONLY);
    ssize_t length = readlink("/proc/self/exe", from, sizeof from - 1);
    from[length > 0 ? length : 0] = 0;
    snprintf(words, sizeof words, "%s: file, read only", strrchr(from, '/') + 1);
    map("own-file", "file", size, PROT_READ, MAP_PRIVATE, fd, words);
}

static void map_kernel_objects(void) {
    aio_context_t context = 0;
    unsigned char params[120] = {0}; /* struct io_uring_params: newer than some headers */
    struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE,
                                         .size = sizeof attributes,
                                         .config = PERF_COUNT_SW_CPU_CLOCK,
                                         .exclude_kernel = 1};
    if (syscall(SYS_io_setup, 8, &context) == 0)
        say("aio", "device", (void *)context, 0,
            "asynchronous I/O: completions shared with the kernel");
    int ring = (int)syscall(425 /* io_uring_setup */, 4, params);
    if (ring >= 0) { /* it may not be put at an address */
        void *at = mmap(NULL, page, RW, MAP_SHARED | MAP_POPULATE, ring, 0);
        if (at != MAP_FAILED)
            say("io_uring", "device", at, page, "io_uring: queues shared with the kernel");
    }
    int perf = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
    if (perf >= 0)
        map("perf", "device", 2 * page, RW, MAP_SHARED, perf,
            "perf's event buffer, shared with the kernel");
}

/* A page for each flag that a program can ask for: KEY is "flag" and the code. */
static void map_flags(void) {
    static const struct {
        const char *key;
        int advice;
    } advices[] = {
        {"flag:sr", MADV_SEQUENTIAL}, {"flag:rr", MADV_RANDOM},     {"flag:dc", MADV_DONTFORK},
        {"flag:dd", MADV_DONTDUMP},   {"flag:wf", MADV_WIPEONFORK}, {"flag:hg", MADV_HUGEPAGE},
        {"flag:nh", MADV_NOHUGEPAGE}, {"flag:mg", MADV_MERGEABLE},
    };
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++) {
        char *at = mmap(place(), page, RW, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0);
        int refused = madvise(at, page, advices[i].advice);
        say(refused ? "-" : advices[i].key, "anon", at, page, "anonymous memory");
    }
    map("flag:nr", "anon", page, RW, PRIVATE | MAP_NORESERVE, -1, "anonymous memory");
    char *at = mmap(place(), page, RW, MAP_ANONYMOUS | MAP_DROPPABLE_ | MAP_FIXED_NOREPLACE, -1, 0);
    if (at != MAP_FAILED)
        say("flag:dp", "anon", at, page, "anonymous memory");
    at = mmap(place(), page, RW, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0);
    say(syscall(SYS_MSEAL_, at, page, 0) ? "-" : "flag:sl", "anon", at, page, "anonymous memory");
    at = mmap(place(), page, RW, PRIVATE | MAP_FIXED_NOREPLACE, -1, 0);
    say(syscall(SYS_mlock2, at, page, 1 /* MLOCK_ONFAULT */) ? "-" : "flag:lf", "anon", at, page,
        "anonymous memory");
}

static void map_huge(void) {
    map("huge", "hugetlb", HUGE_SIZE, RW, PRIVATE | MAP_HUGETLB, -1, "huge pages (hugetlb)");
    map("huge-shared", "hugetlb", HUGE_SIZE, RW, SHARED | MAP_HUGETLB, -1, "huge pages (hugetlb)");
    map("huge-memfd", "hugetlb", HUGE_SIZE, RW, MAP_SHARED,
        memory_file("large", MFD_HUGETLB_, HUGE_SIZE), "huge pages (hugetlb): memfd large");
    map_system_v("huge-sysv", IPC_PRIVATE, HUGE_SIZE, SHM_HUGETLB, "hugetlb",
                 "huge pages (hugetlb): ");
}

static void *growing;

static void obey(const char *command) {
    if (!strcmp(command, "map"))
        growing = map("mapped", "anon", 32 * page, RW, PRIVATE, -1, "anonymous memory");
    else if (!strcmp(command, "grow") && growing) {
        growing = mremap(growing, 32 * page, 64 * page, 0);
        say("mapped", "anon", growing, 64 * page, "anonymous memory");
    } else if (!strcmp(command, "unmap")) {
        munmap(growing, 64 * page);
    } else if (!strcmp(command, "allocate")) {
        pthread_barrier_wait(&more);
        pthread_barrier_wait(&more);
        say_arenas();
    } else if (!strcmp(command, "die")) {
        raise(SIGKILL);
    }
}

int main(int count, char **arguments) {
    char line[100];
    int local;
    if (count < 2)
        return 2;
    const char *which = count > 2 ? arguments[2] : "";
    page = (size_t)sysconf(_SC_PAGESIZE);
    snprintf(directory, sizeof directory, "%s", arguments[1]);
    zeroes[sizeof zeroes - 1] = initialised[9] + constants[9];
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    dl_iterate_phdr(say_segments, NULL);
    if (!strcmp(which, "hugetlb")) {
        map_huge();
    } else if (strcmp(which, "segments")) {
        free(malloc(1000));
        say("heap", "heap", (char *)sbrk(0) - page, 0, "main heap, grown by brk");
        say("stack", "stack", &local, 0, "main stack");
        map_anonymous();
        map_shared();
        map_files();
        map_kernel_objects();
        map_flags();
        start_threads();
    }
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        obey(line);
        puts("ready");
        fflush(stdout);
    }
    return 0;
}
