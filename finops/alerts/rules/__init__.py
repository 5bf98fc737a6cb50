"""What is decided from values alone: no clock, no query."""
