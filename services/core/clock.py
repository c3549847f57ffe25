"""Wall-clock time as the messages carry it."""

import time


def unix_us() -> int:
    """Return now, in microseconds since the Unix epoch."""
    return time.time_ns() // 1000


def seconds_since(unix_us_then: int) -> float:
    """Return the seconds from then to now; never negative, as clocks may step back."""
    return max(0, unix_us() - unix_us_then) / 1e6
