"""What requests to the gateway cost: histograms by endpoint, lane, outcome and code."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.connection.traffic import Traffic
from supervisor.gauges import add_spans

LABELS = ["endpoint", "lane", "outcome", "code"]


class RequestCollector(Collector):
    """One scrape of what the gateway loop last published."""

    def __init__(self, traffic: Callable[[], Traffic | None]) -> None:
        self._traffic = traffic

    def collect(self) -> Iterable[Metric]:
        traffic = self._traffic()
        if traffic is None:
            return
        waits = HistogramMetricFamily("riskd_request_wait_seconds", "For its slot", labels=LABELS)
        times = HistogramMetricFamily("riskd_request_seconds", "From send to answer", labels=LABELS)
        for series in traffic.series:
            words = [series.endpoint, series.lane, series.outcome, series.code]
            add_spans(waits, words, series.wait)
            add_spans(times, words, series.time)
        yield from (waits, times)
        broken = GaugeMetricFamily(
            "riskd_endpoint_left_alone", "1 while it failed too often to be asked", labels=["endpoint"]
        )
        for each in traffic.broken:
            broken.add_metric([each.endpoint], 1.0)
        yield broken
