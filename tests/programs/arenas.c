/* Malloc's arenas of other threads, filled to the last page and one after the other.
 *
 *     arenas COUNT
 *
 * Says "ready" once COUNT arenas are writable from end to end; ends with its input.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *fill(void *count) {
    uintptr_t full = 0, arena, before = 0;
    while (full <= strtoul(count, NULL, 10)) {
        volatile char *piece = malloc(4080);
        if (!piece)
            exit(1);
        piece[0] = 1;
        arena = (uintptr_t)piece >> 26;
        full += arena != before;
        before = arena;
    }
    puts("ready");
    fflush(stdout);
    pause();
    return NULL;
}

int main(int count, char **arguments) {
    pthread_t thread;
    char byte;
    if (count < 2 || pthread_create(&thread, NULL, fill, arguments[1]))
        return 1;
    while (read(0, &byte, 1) > 0)
        ;
}
