"""Processes as a table: the columns, and processes together."""
