"""The views, and the help above them."""
