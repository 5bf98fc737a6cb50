"""What a process counts of itself, and how Prometheus is shown it: of all processes of the host at once."""
