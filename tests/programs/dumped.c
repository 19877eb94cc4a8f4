/* Memory of each kind that a core dump has or leaves out, threads, and a death at a known place.
 * `dumped THREADS DIRECTORY` says "ready" when all of it stands; a line on its input ends it:
 * "write ADDRESS" by a write there, "abort" by abort(). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB (1 << 20)

static char zeros[3 * MIB]; /* bss, beyond what one page of data has room for */
static int figure = 42;     /* initialised data */

static void *waits(void *unused)
{
    (void)unused;
    for (;;)
        pause();
}

static char *anonymous(size_t size, int perms, int flags)
{
    return mmap(NULL, size, perms, MAP_ANONYMOUS | flags, -1, 0);
}

int main(int argc, char **argv)
{
    pthread_t thread;
    char line[64], path[4096];

    for (int each = argc > 1 ? atoi(argv[1]) : 0; each > 0; each--)
        pthread_create(&thread, NULL, waits, NULL);
    zeros[MIB] = (char)figure;
    memset(malloc(100000), 1, 100000); /* of the heap that brk grows */

    memset(anonymous(MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE), 2, MIB);
    anonymous(2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE); /* never touched */
    anonymous(4 * MIB, PROT_NONE, MAP_PRIVATE);
    memset(anonymous(MIB, PROT_READ | PROT_WRITE, MAP_SHARED), 3, MIB);
    char *secret = anonymous(MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memset(secret, 4, MIB);
    mprotect(secret, MIB, PROT_READ); /* so that it is no neighbour's part */
    madvise(secret, MIB, MADV_DONTDUMP);

    snprintf(path, sizeof path, "%s/mapped-file", argc > 2 ? argv[2] : ".");
    int file = open(path, O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, 8 * 65536))
        return 1;
    mmap(NULL, 65536, PROT_READ, MAP_PRIVATE, file, 0);
    mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, file, 3 * 65536);

    usleep(20000); /* the threads are in pause by then, mostly */
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 0;
    if (!strncmp(line, "write ", 6))
        *(volatile char *)strtoul(line + 6, NULL, 16) = 1;
    abort();
}
