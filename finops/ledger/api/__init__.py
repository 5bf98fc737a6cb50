"""Spend, charges and sessions over REST. Every question passes through the caller's reach."""
