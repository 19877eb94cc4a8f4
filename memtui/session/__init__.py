"""What is remembered, and shown of it: nothing here knows Textual."""
