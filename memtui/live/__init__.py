"""What reads the kernel again and again, and its threads."""
