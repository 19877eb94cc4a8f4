"""What a figure or a term means, with today's numbers in it."""
