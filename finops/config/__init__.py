"""What every process is made from: settings, environment, checks, URLs, Celery."""
