/* faulty HOW: says where its memory is, waits for a line, and touches what it may not. */

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char constant[] = "nobody may write here";
static volatile char *target;
static int is_deep;

static int dive(int depth)
{
    volatile char room[512];
    room[0] = (char)depth;
    return dive(depth + 1) + room[0];
}

static void *thread(void *unused)
{
    char line[8];
    if (!fgets(line, sizeof line, stdin))
        exit(0);
    if (is_deep)
        dive(0);
    return unused;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    char line[8];
    char *closed = mmap(NULL, 1 << 16, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void (*code)(void) = NULL;
    pthread_t id;
    if (strcmp(how, "null") == 0)
        target = (char *)0x10;
    else if (strcmp(how, "constant") == 0)
        target = (char *)constant;
    else if (strcmp(how, "closed") == 0)
        target = closed;
    else if (strcmp(how, "wild") == 0)
        target = (char *)(uintptr_t)0xdeadbeefdeadbeefULL;
    else if (strcmp(how, "jump") == 0)
        code = (void (*)(void))0x20;
    else if (strcmp(how, "data") == 0)
        code = (void (*)(void))(uintptr_t)malloc(64);
    is_deep = strcmp(how, "overflow") == 0;
    if (is_deep)
        pthread_create(&id, NULL, thread, NULL);
    puts("ready");
    fflush(stdout);
    if (is_deep)
        return pthread_join(id, NULL);
    if (!fgets(line, sizeof line, stdin))
        return 0;
    if (code)
        code();
    else
        *target = 1;
    return 0;
}
