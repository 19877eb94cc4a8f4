"""The past: a recording of a machine's files, and they as they were at any moment of it."""
