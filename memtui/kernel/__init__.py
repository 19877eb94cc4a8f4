"""What Linux says. One module a kernel source; bytes in, values out; standard library only.

`LiveFiles` alone opens files, and all is read through the protocol `Files`. Every `parse_x(bytes)` is
pure and complete: keys that it does not know are kept, a key that is missing is missing, kB and
clock ticks end here.
Bytes that cannot be right raise `Malformed`, which `Files.parsed` turns into a `Gap`.
"""
