"""Pure: no clock, no query."""
