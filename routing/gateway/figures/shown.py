"""Figures of all processes of a host as Prometheus reads them: each process under a label of its own, so that counters
of one that ends are not taken for counters that fell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from routing.gateway.figures.families import COUNTER, FAMILIES, GAUGE, Family
from routing.gateway.figures.tallies import Told

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_PREFIX: Final = "capstan_gateway_"
_PROCESS: Final = "process"


class _Host(Collector):
    def __init__(self, told: Mapping[str, Told]) -> None:
        self._told = told

    def collect(self) -> Iterator[Metric]:
        for name, family in FAMILIES.items():
            yield _metric(name, family, self._told)


def shown(told: Mapping[str, Told]) -> bytes:
    """The text, of each process by its name. What another process of another release tells besides is passed over."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Host(told))
    return generate_latest(registry)


def _metric(name: str, family: Family, told: Mapping[str, Told]) -> Metric:
    labels = (_PROCESS, *family.labels)
    if family.kind == COUNTER:
        counter = CounterMetricFamily(_PREFIX + name, family.help, labels=labels)
        for process, its, values in _samples(name, family, told):
            counter.add_metric([process, *its], values[0])
        return counter
    if family.kind == GAUGE:
        gauge = GaugeMetricFamily(_PREFIX + name, family.help, labels=labels)
        for process, its, values in _samples(name, family, told):
            gauge.add_metric([process, *its], values[0])
        return gauge
    histogram = HistogramMetricFamily(_PREFIX + name, family.help, labels=labels)
    for process, its, values in _samples(name, family, told):
        histogram.add_metric([process, *its], _buckets(family, values), sum_value=values[-1])
    return histogram


def _samples(name: str, family: Family, told: Mapping[str, Told]) -> Iterator[tuple[str, tuple[str, ...], list[float]]]:
    numbers = len(family.bounds) + 2 if family.bounds else 1
    for process, its in told.items():
        for labels, values in its.get(name, ()):
            if len(labels) == len(family.labels) and len(values) == numbers:
                yield process, labels, values


def _buckets(family: Family, values: list[float]) -> list[tuple[str, float]]:
    bounds = [*(repr(bound) for bound in family.bounds), "+Inf"]
    total, buckets = 0.0, []
    for bound, count in zip(bounds, values[:-1], strict=True):
        total += count
        buckets.append((bound, total))
    return buckets
