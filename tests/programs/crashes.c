/* crashes HOW: dies in one way. Every line that dies says so: DIES HOW. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static const char constant[] = "nobody may write here";
static char *volatile pointer;
static volatile int zero;
static volatile int sink;

static void null_read(void)
{
    sink = *pointer; /* DIES null-read */
}

static void null_write(void)
{
    *(volatile int *)(pointer + 16) = 1; /* DIES null-write */
}

static void wild(void)
{
    *(volatile int *)0x123456789000 = 1; /* DIES wild */
}

static void unmapped(void)
{
    char *below = mmap(NULL, 3 * 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *one = below + 65536;
    munmap(one, 65536);
    pointer = one + 8;
    sink = *pointer; /* DIES unmapped */
}

static int dive(int depth)
{
    volatile char room[512];
    room[0] = (char)depth;
    return dive(depth + 1) + room[0]; /* DIES overflow */
}

static void overflow(void)
{
    struct rlimit limit = {1 << 20, RLIM_INFINITY};
    setrlimit(RLIMIT_STACK, &limit);
    dive(0);
}

static void text(void)
{
    *(volatile char *)text = 1; /* DIES text */
}

static void rodata(void)
{
    *(volatile char *)constant = 1; /* DIES rodata */
}

static void data(void)
{
    void (*volatile code)(void) = (void (*)(void))malloc(64);
    *(volatile char *)code = (char)0xc3;
    code(); /* DIES data */
}

static void jump(void)
{
    void (*volatile code)(void) = (void (*)(void))pointer;
    code(); /* DIES jump */
}

static void file_end(void)
{
    char name[] = "/tmp/memtui-crashes-XXXXXX";
    int file = mkstemp(name);
    unlink(name);
    if (ftruncate(file, 100))
        exit(9);
    pointer = mmap(NULL, 3 * getpagesize(), PROT_READ, MAP_SHARED, file, 0);
    pointer += getpagesize() + 8;
    sink = *pointer; /* DIES file-end */
}

static void twice(void)
{
    char *room = malloc(32);
    pointer = room;
    free(room);
    free(pointer); /* DIES twice */
}

static void divide(void)
{
    sink = 7 / zero; /* DIES divide */
}

#ifdef __x86_64__
static void misaligned(void)
{
    static char room[64] __attribute__((aligned(64)));
    pointer = room + 4;
    __asm__ volatile("movaps (%0), %%xmm0" : : "r"(pointer) : "xmm0"); /* DIES misaligned */
}

static void uncanonical(void)
{
    pointer = (char *)0xdeadbeefdeadbeef;
    *pointer = 1; /* DIES uncanonical */
}

static void smash(void)
{
    /* As a return after a string of As has run over its address. */
    __asm__ volatile("push %0; ret" : : "r"(0x4141414141414141)); /* DIES smash */
}

static void privileged(void)
{
    __asm__ volatile("hlt"); /* DIES privileged */
}
#endif

static void illegal(void)
{
    __builtin_trap(); /* DIES illegal */
}

static void heap_end(void)
{
    pointer = malloc(8);
    free(pointer);
    pointer = sbrk(0);
    pointer[8] = 1; /* DIES heap-end */
}

static void *in_thread(void *unused)
{
    *(volatile int *)pointer = 1; /* DIES thread */
    return unused;
}

static void *dives(void *unused)
{
    dive(0);
    return unused;
}

static void start(void *(*function)(void *))
{
    pthread_t id;
    pthread_create(&id, NULL, function, NULL);
    pthread_join(id, NULL);
}

static void thread(void)
{
    start(in_thread);
}

static pthread_t first;

static void *outlives(void *unused)
{
    pthread_join(first, NULL);
    *(volatile int *)pointer = 1; /* DIES leaderless */
    return unused;
}

static void leaderless(void)
{
    pthread_t id;
    first = pthread_self();
    pthread_create(&id, NULL, outlives, NULL);
    pthread_exit(NULL);
}

static void thread_overflow(void)
{
    start(dives);
}

static void library(void)
{
    static char room[4096];
    memcpy(pointer + 64, room, (size_t)sysconf(_SC_PAGESIZE)); /* DIES library */
}

static void handler(int number)
{
    (void)number;
    *pointer = 1; /* DIES handler */
}

static void in_handler(void)
{
    signal(SIGUSR1, handler);
    raise(SIGUSR1); /* INTERRUPTED handler */
}

static void key(void)
{
    int number = pkey_alloc(0, PKEY_DISABLE_ACCESS);
    if (number < 0)
        exit(9);
    pointer = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pkey_mprotect(pointer, 65536, PROT_READ | PROT_WRITE, number);
    sink = *pointer; /* DIES key */
}

static const struct {
    const char *name;
    void (*function)(void);
} ways[] = {
    {"null-read", null_read}, {"null-write", null_write}, {"wild", wild},
    {"unmapped", unmapped},   {"overflow", overflow},     {"text", text},
    {"rodata", rodata},       {"data", data},             {"jump", jump},
    {"file-end", file_end},   {"twice", twice},           {"divide", divide},
    {"illegal", illegal},     {"heap-end", heap_end},     {"thread", thread},
    {"leaderless", leaderless},
    {"thread-overflow", thread_overflow},                 {"library", library},
    {"handler", in_handler},  {"key", key},               {"abort", abort},
#ifdef __x86_64__
    {"misaligned", misaligned}, {"uncanonical", uncanonical}, {"privileged", privileged}, {"smash", smash},
#endif
};

int main(int argc, char **argv)
{
    for (size_t at = 0; argc > 1 && at < sizeof ways / sizeof *ways; at++)
        if (strcmp(argv[1], ways[at].name) == 0)
            ways[at].function(); /* CALLS */
    return 0;
}
