"""The lab: experiments to watch, each a small real program that does one thing a step at a time.

An experiment is one module in `experiments`: its program, its steps, its words. `bench.Bench` runs one:
a keeper process makes what it needs (a directory, a control group, swap), starts the program, and takes
all of it away again when memtui says so, or is gone.
"""
