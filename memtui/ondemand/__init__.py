"""Readings made on demand about one place of one address space: pages, ELF files, who else maps it.

Nothing here is polled. Each function reads through `Files`, may take long, and is called from
a thread of its own; what it cannot read is a `Gap`.
"""
