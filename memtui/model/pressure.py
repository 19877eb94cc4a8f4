"""Stub."""

LEVELS = (
    "comfortable",
    "reclaiming",
    "thrashing",
    "stalling",
    "about_to_run_out",
    "being_killed",
)
