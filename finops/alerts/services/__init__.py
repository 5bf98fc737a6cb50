"""Writes of alerts; see each module."""
