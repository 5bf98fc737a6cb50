"""Alerts: what somebody should hear of, and that they do."""
