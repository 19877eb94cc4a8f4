"""Control groups: their names as people know them, and the tree that they are."""
