"""Values as sentences."""
