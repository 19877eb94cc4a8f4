/* Writes through a null pointer, four calls deep. */
#include <stdio.h>

struct node { struct node *next; int value[4]; };

static int deref(struct node *node) { return node->value[2] = 7; }

static int walk(struct node *node, int depth) {
    return depth ? walk(node, depth - 1) + 1 : deref(node);
}

int main(void) {
    puts("about to write");
    fflush(stdout);
    return walk((struct node *)0, 3);
}
