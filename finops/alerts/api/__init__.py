"""Alerts over REST."""
