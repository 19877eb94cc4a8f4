"""The figures as text, JSON and CSV, for programs and for reading. Never imports textual.

A report is a function that gives its output in pieces and raises `Failure` before the first one.
Text shows other people's names through `units.printable`; JSON keeps them raw, in ASCII, with bytes
that are not UTF-8 as `\\udc80` to `\\udcff`. CSV has JSON's keys as its heads, nothing where a value is
not known, and names as the very bytes that the kernel gave.

Each report is imported by the command that wants it, to start fast.
"""
