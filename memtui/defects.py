"""How a defect is told: one line that says where, for the report of it."""

from __future__ import annotations

import os


def defect(error: BaseException) -> str:
    """What went wrong in which line of which file."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "unknown place"
    if trace is not None:
        where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
    return f"a defect in memtui: {where}: {type(error).__name__}: {error}"
