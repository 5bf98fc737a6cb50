"""Figures of a gateway: counted cheaply, bounded, shown together; and a log that repeats no stranger's words."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from routing.gateway.asgi import _asked
from routing.gateway.figures.families import FAMILIES
from routing.gateway.figures.shown import shown
from routing.gateway.figures.tallies import MOST_LABELLED, OTHER, Counter, Histogram, Told
from routing.gateway.logs import Json, Line, told_of
from routing.gateway.proxy.course import Course


def test_labels_of_strangers_are_counted_together_beyond_a_bound() -> None:
    counter, histogram = Counter(), Histogram((1.0,))
    for number in range(MOST_LABELLED + 100):
        counter.add((f"model-{number}", "input"))
        histogram.observe((f"upstream-{number}",), 0.5)
    told = dict(counter.told())
    assert (len(told), told[OTHER, OTHER]) == (MOST_LABELLED + 1, [100])
    assert (len(histogram.told()), dict(histogram.told())[OTHER,]) == (MOST_LABELLED + 1, [100, 0, 50])


def test_a_histogram_is_shown_as_prometheus_counts_up() -> None:
    bounds = FAMILIES["overhead_seconds"].bounds
    histogram = Histogram(bounds)
    for value in (bounds[0] / 2, bounds[0], bounds[1], 1_000.0):
        histogram.observe(("before",), value)
    samples = {
        (one.name, one.labels.get("le")): one.value
        for family in text_string_to_metric_families(shown({"a": {"overhead_seconds": histogram.told()}}).decode())
        for one in family.samples
    }
    name = "capstan_gateway_overhead_seconds"
    assert samples[f"{name}_bucket", str(bounds[0])] == 2
    assert samples[f"{name}_bucket", str(bounds[1])] == 3
    assert samples[f"{name}_bucket", "+Inf"] == samples[f"{name}_count", None] == 4
    assert samples[f"{name}_sum", None] == pytest.approx(1_000 + 1.5 * bounds[0] + bounds[1])


def test_what_another_release_counts_otherwise_is_passed_over() -> None:
    other: Told = {"calls": [(("one label too few",), [1.0])], "overhead_seconds": [(("before",), [1.0])], "new": []}
    assert "capstan_gateway_calls_total{" not in shown({"a": other}).decode()


@pytest.mark.parametrize(
    ("client", "headers", "local"),
    [
        (("127.0.0.1", 1), [], True),
        (("::1", 1), [], True),
        (("10.0.0.7", 1), [], False),
        (("127.0.0.1", 1), [(b"x-forwarded-for", b"198.51.100.7")], False),
        (("127.0.0.1", 1), [(b"forwarded", b"for=198.51.100.7")], False),
        (("unix", 1), [], False),
        (None, [], False),
    ],
)
def test_who_asks_from_this_machine_for_themselves_is_local(client: Any, headers: Any, local: bool) -> None:
    scope = {"method": "GET", "path": "/metrics", "query_string": b"", "headers": headers, "client": client}
    assert _asked(scope, b"").local is local


@pytest.mark.parametrize("formatter", [Json(), Line("{levelname} {message}", style="{")])
def test_an_exception_that_quotes_a_stranger_is_told_without_its_words(formatter: logging.Formatter) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter)
    log = logging.getLogger("routing.gateway.proxy.relay")
    log.addHandler(handler)
    try:
        raise ValueError("The merger is on Friday")
    except ValueError:
        log.exception("a model call could not be answered")
    finally:
        log.removeHandler(handler)
    assert "merger" not in written.getvalue()
    assert "a model call could not be answered: ValueError at test_figures.py" in written.getvalue()


def test_what_is_not_known_of_a_call_is_not_in_its_line() -> None:
    course = Course("none")
    course.status, course.code = 401, "orgs.key_refused"
    told = told_of(course, course.began + 0.5)
    assert json.loads(json.dumps(told)) == {
        "dialect": "none", "stream": False, "status": 401, "code": "orgs.key_refused", "tries": 0, "asked_bytes": 0,
        "said_bytes": 0, "ms": 500.0,
    }  # fmt: skip
