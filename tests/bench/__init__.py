"""What memtui costs, against what the same work costs others: `python -m tests.bench`."""
