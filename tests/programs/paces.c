/* How fast something goes, as the program itself sees it: without the time that it waited for a
 * processor that others had, but with any that it waited for a lock.
 *
 *     paces pairs SECONDS   prints how often it mapped and unmapped two pages, a second
 *     paces spin TIMES      prints how many seconds so many rounds of arithmetic took
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

/* Seconds in the queue for a processor; 0 where the kernel does not count them. */
static double queued(void)
{
    unsigned long long ran = 0, waited = 0;
    FILE *file = fopen("/proc/self/schedstat", "r");
    if (file) {
        if (fscanf(file, "%llu %llu", &ran, &waited) != 2)
            waited = 0;
        fclose(file);
    }
    return waited / 1e9;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    double queued_before = queued(), begun = now(), much = atof(argv[2]), took;
    if (strcmp(argv[1], "pairs") == 0) {
        size_t size = 2 * sysconf(_SC_PAGESIZE), pairs = 0;
        while (now() - begun < much) {
            char *area = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            munmap(area, size);
            pairs++;
        }
        took = now() - begun - (queued() - queued_before);
        printf("%f\n", pairs / took);
    } else {
        volatile unsigned long sum = 0;
        for (unsigned long each = 0; each < much; each++)
            sum += each * each;
        took = now() - begun - (queued() - queued_before);
        printf("%f\n", took);
    }
    return 0;
}
