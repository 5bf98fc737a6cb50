"""What there is to be seen of a gateway, by name. No label holds a key, a person, or what somebody wrote in a call."""

from __future__ import annotations

from typing import Final, NamedTuple

COUNTER: Final = "counter"
GAUGE: Final = "gauge"
HISTOGRAM: Final = "histogram"

# Ours are fractions of a millisecond, an upstream's are anything up to minutes.
OURS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)
THEIRS_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class Family(NamedTuple):
    kind: str
    # What it is, as Prometheus shows it.
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


_UPSTREAM: Final = ("organization", "upstream")

FAMILIES: Final[dict[str, Family]] = {
    # --- Calls of models ---
    "calls": Family(COUNTER, "Calls of models that are over, by how they ended", ("dialect", "outcome")),
    "overhead_seconds": Family(
        HISTOGRAM, "Time of a call that was ours: before an upstream was sent it, and after its last byte", ("part",),
        OURS_S,
    ),
    "bytes": Family(COUNTER, "Bytes of bodies, from clients and to them", ("direction",)),
    # --- Upstreams ---
    "tries": Family(
        COUNTER, "Tries of calls at upstreams by what became of them; one that began and then broke off is in both",
        (*_UPSTREAM, "rank", "outcome"),
    ),
    "upstream_seconds": Family(HISTOGRAM, "From sending a call to the last byte of its answer", _UPSTREAM, THEIRS_S),
    "upstream_first_byte_seconds": Family(HISTOGRAM, "From sending a call to the first byte", _UPSTREAM, THEIRS_S),
    "probes": Family(COUNTER, "Upstreams asked whether they are there", (*_UPSTREAM, "outcome")),
    "breakers_open": Family(GAUGE, "Deployments that calls are not sent to for now", _UPSTREAM),
    # --- Money ---
    "decisions": Family(COUNTER, "Whether a call may be: allowed, or the code it was refused with", ("said",)),
    "tokens": Family(COUNTER, "Tokens of calls that are over", ("provider", "model", "meter")),
    "cost": Family(COUNTER, "What calls came to, in the currency the organization reports in",
                   ("provider", "model", "currency")),
    "lease_accounts": Family(GAUGE, "Accounts that something is leased of"),
    "lease_free": Family(GAUGE, "What is leased and free, over all accounts, in their reporting currencies"),
    "lease_held": Family(GAUGE, "What is held by calls under way, as lease_free; a call is in each of its accounts"),
    "open_authorizations": Family(GAUGE, "Authorizations that are neither settled nor over"),
    "supply_questions": Family(COUNTER, "Questions to the database for leases and accounts"),
    "supply_waiting": Family(GAUGE, "Organizations whose calls wait for such a question"),
    # --- The process ---
    "calls_open": Family(GAUGE, "Calls of models under way"),
    "streams_open": Family(GAUGE, "Answers under way that are streams"),
    "request_bytes_open": Family(GAUGE, "Bytes of requests that are kept for calls under way"),
    "journal_waiting": Family(GAUGE, "Records of the journal that are not durable yet"),
    "journal_segments": Family(GAUGE, "Segments of the journal, by whether the database has them", ("state",)),
    "journal_failed": Family(GAUGE, "1 when the journal cannot be written: nothing more is allowed"),
    "configuration_age_seconds": Family(GAUGE, "Since the process last saw that its configuration is the newest"),
    "log_lines_lost": Family(COUNTER, "Lines of the log that nobody took"),
    "captures": Family(COUNTER, "Calls whose contents were to be kept, by what became of that", ("outcome",)),
    "samples": Family(COUNTER, "Calls whose features were to be kept, by what became of that", ("outcome",)),
    "capture_bytes_open": Family(GAUGE, "Bytes of contents that are kept for calls under way, or wait to be stored"),
    "up": Family(GAUGE, "1 for each process that could be asked, 0 for one that could not"),
}  # fmt: skip
