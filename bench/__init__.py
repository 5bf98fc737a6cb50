"""Benchmarks: one file each, run by `manage.py bench NAME --json`, printing one JSON object as the last line."""
