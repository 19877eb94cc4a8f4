"""One address space: its mappings, what each is for, where it is drawn, what changed in it."""
