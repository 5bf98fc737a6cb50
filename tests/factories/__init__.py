"""Rows for tests, one module per room."""
