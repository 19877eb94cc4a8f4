"""Whom the OOM killer would take, by which policy, and who has died."""
