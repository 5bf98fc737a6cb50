"""Benchmarks: one file each, each measuring a ratio in one run on one machine, each printing one JSON line."""
