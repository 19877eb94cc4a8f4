/* lives HOW [ARG]: lives and ends in a way that a watcher must get right. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int *nowhere = (volatile int *)0x10;
static sigjmp_buf back;
static char other_stack[1 << 16];

static void caught(int number)
{
    (void)number;
    siglongjmp(back, 1);
}

/* Touches what it may not so often, and goes on each time: its handler has a stack of its own. */
static int handle(int times)
{
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    struct sigaction action = {.sa_handler = caught, .sa_flags = SA_ONSTACK};
    volatile int count = 0;
    sigaltstack(&stack, NULL);
    sigaction(SIGSEGV, &action, NULL);
    if (sigsetjmp(back, 1))
        count++;
    if (count < times)
        *nowhere = 1;
    printf("%d\n", count);
    return 0;
}

static void *sleep_on(void *unused)
{
    pause();
    return unused;
}

static void *churn(void *unused)
{
    for (;;) {
        char *area = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        *area = 1;
        munmap(area, 1 << 16);
    }
    return unused;
}

static void *fault(void *unused)
{
    *nowhere = 1;
    return unused;
}

static void *become(void *path)
{
    execl(path, path, "from a thread", (char *)NULL);
    exit(1);
}

static void *nothing(void *unused)
{
    return unused;
}

/* So many at once, and each to its end. */
static void come_and_go(int number)
{
    pthread_t *threads = calloc(number, sizeof *threads);
    for (int each = 0; each < number; each++)
        if (pthread_create(&threads[each], NULL, nothing, NULL))
            exit(1);
    for (int each = 0; each < number; each++)
        pthread_join(threads[each], NULL);
}

static void start(void *(*what)(void *), void *with, int times)
{
    pthread_t thread;
    while (times-- > 0)
        if (pthread_create(&thread, NULL, what, with))
            exit(1);
}

/* Maps, touches half, unmaps; the heap grows by malloc of small ones. */
static int grow(size_t mib)
{
    size_t size = mib << 20;
    char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(area, 1, size / 2);
    for (int times = 0; times < 10000; times++)
        *(volatile char *)malloc(1000) = 1;
    puts("grown");
    fflush(stdout);
    if (getchar() == EOF)
        return 0;
    munmap(area, size);
    puts("unmapped");
    fflush(stdout);
    getchar();
    return 0;
}

/* A daemon, that lives until its file is taken away; the first says so and ends. */
static int detach(const char *path)
{
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            char partial[4096];
            snprintf(partial, sizeof partial, "%s.partial", path);
            FILE *file = fopen(partial, "w");
            fprintf(file, "%d\n", getpid());
            fclose(file);
            rename(partial, path); /* there, and whole */
            for (int fd = 0; fd < 3; fd++)
                close(fd);
            while (access(path, F_OK) == 0)
                usleep(10000);
            _exit(7);
        }
        _exit(0);
    }
    wait(NULL);
    while (access(path, F_OK))
        usleep(1000);
    return 4;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    const char *with = argc > 2 ? argv[2] : "0";
    if (strcmp(how, "null") == 0)
        *nowhere = 1;
    else if (strcmp(how, "abort") == 0)
        abort();
    else if (strcmp(how, "handle") == 0)
        return handle(atoi(with));
    else if (strcmp(how, "ignore") == 0) { /* the kernel does not let a fault be ignored */
        signal(SIGSEGV, SIG_IGN);
        raise(SIGSEGV);
        *nowhere = 1;
    } else if (strcmp(how, "threads") == 0) {
        come_and_go(atoi(with));
    } else if (strcmp(how, "thread-fault") == 0) {
        start(churn, NULL, 2);
        start(fault, NULL, 1);
        pause();
    } else if (strcmp(how, "two-faults") == 0) {
        start(fault, NULL, 2);
        pause();
    } else if (strcmp(how, "thread-exec") == 0) {
        start(sleep_on, NULL, 3);
        start(become, (void *)with, 1);
        pause();
    } else if (strcmp(how, "vfork") == 0) {
        if (vfork() == 0) {
            execl(with, with, (char *)NULL);
            _exit(1);
        }
        wait(NULL);
    } else if (strcmp(how, "grow") == 0)
        return grow(strtoul(with, NULL, 10));
    else if (strcmp(how, "detach") == 0)
        return detach(with);
    else if (strcmp(how, "wait") == 0) {
        puts("ready");
        fflush(stdout);
        pause();
    }
    return 0;
}
