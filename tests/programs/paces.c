/* How fast something goes, as the program itself sees it.
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

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    double begun = now(), much = atof(argv[2]);
    if (strcmp(argv[1], "pairs") == 0) {
        size_t size = 2 * sysconf(_SC_PAGESIZE), pairs = 0;
        while (now() - begun < much) {
            char *area = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            munmap(area, size);
            pairs++;
        }
        printf("%f\n", pairs / (now() - begun));
    } else {
        volatile unsigned long sum = 0;
        for (unsigned long each = 0; each < much; each++)
            sum += each * each;
        printf("%f\n", now() - begun);
    }
    return 0;
}
