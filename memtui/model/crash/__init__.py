"""How a program died, and why: the same for one under watch and for a core dump."""
