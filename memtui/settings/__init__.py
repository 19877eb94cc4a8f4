"""What can be set: the one table, the values in force, and the user's file."""
