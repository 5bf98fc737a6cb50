"""What gateways decide by, published whole: one row for each organization, and one for the public catalogue."""

from __future__ import annotations

from django.db import models

CATALOGUE = 0


class Published(models.Model):
    # CATALOGUE is everybody's.
    organization_id = models.IntegerField(primary_key=True)
    # Which state of everything it was made from: another one is another configuration.
    stamp = models.TextField()
    # MessagePack, as `wire` says.
    body = models.BinaryField()
    published_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"configuration of {self.organization_id}"
