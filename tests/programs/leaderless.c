/* A process whose first thread ends while another lives on, with memory of its own.
 *
 *     leaderless MIB
 *
 * The other thread writes to MIB mebibytes and says "ready"; a byte of input ends the first thread,
 * which is told by its being a zombie. The end of the input ends all.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_barrier_t both;

static void *live_on(void *mib) {
    size_t size = strtoul(mib, NULL, 10) << 20;
    char byte;
    volatile char *memory = malloc(size);
    if (!memory)
        exit(1);
    for (size_t at = 0; at < size; at += 1024)
        memory[at] = 1;
    puts("ready");
    fflush(stdout);
    if (read(0, &byte, 1) < 1)
        exit(0);
    pthread_barrier_wait(&both);
    while (read(0, &byte, 1) > 0)
        ;
    exit(0);
}

int main(int count, char **arguments) {
    pthread_t thread;
    if (count < 2 || pthread_barrier_init(&both, NULL, 2) ||
        pthread_create(&thread, NULL, live_on, arguments[1]))
        return 1;
    pthread_barrier_wait(&both);
    pthread_exit(NULL);
}
