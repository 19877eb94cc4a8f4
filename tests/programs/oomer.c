/* One member of a memory cgroup that is to run full.
 *
 * oomer GROUP NAME ADJ KIND MEBIBYTES [COUNT | FILE]: joins the group, takes its memory, says "ready",
 * and takes as many bytes more as each line of its input says; at the end of the input it ends.
 */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MIB (1UL << 20)
#define LEAF (2UL << 20) /* what one page of page tables maps */

static void put(const char *path, const char *text)
{
    int file = open(path, O_WRONLY);
    if (file < 0 || write(file, text, strlen(text)) < 0) {
        perror(path);
        exit(1);
    }
    close(file);
}

static char *map(size_t bytes, int flags, int file)
{
    char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
    if (at == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return at;
}

/* What the kernel can take back at once from a process that dies; the shared and the page tables go
 * with its last breath, and until then it might take a second one. */
#define OWN (12 * MIB)

/* Memory in small pages: a huge one more or less would decide who dies. */
static char *take(size_t bytes, int share)
{
    char *at = map(bytes, share | MAP_ANONYMOUS, -1);
    madvise(at, bytes, MADV_NOHUGEPAGE);
    memset(at, 1, bytes);
    return at;
}

static pthread_barrier_t all_have;

static void *thread(void *bytes)
{
    take((size_t)bytes, MAP_PRIVATE);
    pthread_barrier_wait(&all_have);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    if (argc < 6)
        return 2;
    char path[4096];
    snprintf(path, sizeof path, "%s/cgroup.procs", argv[1]);
    put(path, "0");
    if (strcmp(argv[3], "0") != 0)
        put("/proc/self/oom_score_adj", argv[3]);
    prctl(PR_SET_NAME, argv[2]);
    const char *kind = argv[4];
    size_t bytes = strtoul(argv[5], NULL, 10) * MIB;
    int count = argc > 6 ? atoi(argv[6]) : 0;
    if (strcmp(kind, "anon") == 0 && bytes) {
        take(bytes, MAP_PRIVATE);
    } else if (strcmp(kind, "shmem") == 0) {
        take(bytes, MAP_SHARED);
        take(OWN, MAP_PRIVATE);
    } else if (strcmp(kind, "file") == 0) {
        int file = open(argv[6], O_RDWR | O_CREAT, 0600);
        if (file < 0 || ftruncate(file, bytes) != 0)
            return 1;
        char *at = map(bytes, MAP_SHARED, file);
        memset(at, 1, bytes);
        /* Reclaim would take the pages of a file first. */
        if (mlock(at, bytes) != 0)
            return 1;
        take(OWN, MAP_PRIVATE);
    } else if (strcmp(kind, "threads") == 0) {
        pthread_barrier_init(&all_have, NULL, count + 1);
        for (int each = 0; each < count; each++) {
            pthread_t id;
            if (pthread_create(&id, NULL, thread, (void *)(bytes / count)) != 0)
                return 1;
        }
        pthread_barrier_wait(&all_have);
    } else if (strcmp(kind, "tables") == 0) {
        /* Reading maps the one page of zeros: nothing but page tables is taken. */
        size_t leaves = bytes / 4096;
        char *at = map(leaves * LEAF, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
        madvise(at, leaves * LEAF, MADV_NOHUGEPAGE);
        volatile char sum = 0;
        for (size_t leaf = 0; leaf < leaves; leaf++)
            sum += at[leaf * LEAF];
        take(OWN, MAP_PRIVATE);
    } else if (strcmp(kind, "fork") == 0) {
        take(bytes, MAP_PRIVATE);
        int ready[2];
        char byte;
        if (pipe(ready) != 0)
            return 1;
        for (int each = 1; each <= count; each++)
            if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                snprintf(path, sizeof path, "%s-%d", argv[2], each);
                prctl(PR_SET_NAME, path);
                take(each * MIB, MAP_PRIVATE); /* of their own; the last one's most */
                if (write(ready[1], "x", 1) != 1)
                    return 1;
                for (;;)
                    pause();
            }
        for (int each = 0; each < count; each++)
            if (read(ready[0], &byte, 1) != 1)
                return 1;
    }
    puts("ready");
    fflush(stdout);
    char line[64];
    while (fgets(line, sizeof line, stdin))
        if (strtoul(line, NULL, 10)) {
            take(strtoul(line, NULL, 10), MAP_PRIVATE);
            puts("taken");
            fflush(stdout);
        }
    return 0;
}
