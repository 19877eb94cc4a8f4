"""What it means: pure functions of samples. No input, no output, nothing of the interface."""
