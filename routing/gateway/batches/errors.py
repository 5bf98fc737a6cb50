"""What can go wrong with files and batches, as errors with stable codes."""

from __future__ import annotations

from typing import Final

from finops.budgets.lines import Busy
from finops.core.errors import FinopsError


class DatabaseAway(FinopsError):
    """Files and batches are kept in the database before anybody is told of them, and it cannot be reached."""

    code = "gateway.database_away"
    status = 503
    retry_after_s = 5


# Why something could not be kept.
NOT_KEPT: Final = (DatabaseAway, Busy)


class NoSuchFile(FinopsError):
    """Not made through this gateway by a key of the organization, which is the same answer as none."""

    code = "gateway.file_not_found"
    status = 404


class NoSuchBatch(FinopsError):
    """As `NoSuchFile`."""

    code = "gateway.batch_not_found"
    status = 404


class PurposeRefused(FinopsError):
    """Files are taken for batches alone: what others are used for is not metered here."""

    code = "gateway.purpose_refused"
    status = 400


class NotBooked(FinopsError):
    """Results stay until what they used is in the books."""

    code = "gateway.batch_not_booked"
    status = 409
    retry_after_s = 60
