import pytest

from services.cli.gauges import MEASURED_DECISIONS, LatencyGauge, SpeedGauge


def test_the_latency_gauge_reads_median_and_95th_percentile() -> None:
    gauge = LatencyGauge()
    for latency_ms in range(101):
        gauge.decided(latency_ms)

    assert "p50 50 ms" in gauge.reading(0)
    assert "p95 95 ms" in gauge.reading(0)


def test_the_latency_gauge_forgets_what_is_old() -> None:
    gauge = LatencyGauge()
    gauge.decided(1e6)
    for _ in range(MEASURED_DECISIONS):
        gauge.decided(10)

    assert "p95 10 ms" in gauge.reading(0)


def test_the_speed_gauge_reads_audio_seconds_a_second() -> None:
    now_s = 50.0
    gauge = SpeedGauge(lambda: now_s)
    now_s = 54.0

    assert gauge.reading(done_ms=30_000).startswith("7.5 ")


@pytest.mark.parametrize("gauge", [LatencyGauge(), SpeedGauge(lambda: 0.0)])
def test_a_gauge_says_nothing_before_it_knows_something(gauge: LatencyGauge | SpeedGauge) -> None:
    assert gauge.reading(0) == ""
