"""What is too long for a test: the recorded runs, and speed measured against the usual way."""
