"""What opens over a view."""
