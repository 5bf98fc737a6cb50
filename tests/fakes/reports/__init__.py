"""Providers' reports over real HTTP, an account each: see `tests/fakes/reporting.py`."""
