/* Leaks 1 MiB a second from its heap, beside memory that stays as it is and memory that comes and goes.
 * Prints "ready" when all that stays is there.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { STEP = 32 << 10, SOME = 8 << 20 };

int main(void)
{
    /* All from the heap, whatever its size, and nothing given back. */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    int still = memfd_create("still", 0);
    if (ftruncate(still, SOME))
        return 1;
    char *kept = mmap(NULL, SOME, PROT_READ | PROT_WRITE, MAP_SHARED, still, 0);
    int busy = memfd_create("busy", 0);
    if (ftruncate(busy, SOME))
        return 1;
    char *reused = mmap(NULL, SOME, PROT_READ | PROT_WRITE, MAP_PRIVATE, busy, 0);
    memset(kept, 1, SOME);
    puts("ready");
    fflush(stdout);
    for (int step = 0;; step++) {
        char *lost = malloc(STEP);
        memset(lost, 1, STEP);
        /* Full after two seconds, and then given back. */
        memset(reused + step % 64 * (SOME / 64), 1, SOME / 64);
        if (step % 64 == 63)
            madvise(reused, SOME, MADV_DONTNEED);
        usleep(1000000 / 32);
    }
}
