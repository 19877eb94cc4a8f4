"""Widgets: each draws what it is handed; none reads a file."""
