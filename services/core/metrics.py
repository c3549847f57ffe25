"""Every metric of the platform, declared once; dashboards and alerts name only these."""

from prometheus_client import Counter, Gauge, Histogram

# Around the promise of one decision within one 400 ms chunk.
DECISION_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 2.0, 5.0, 15.0)

SESSIONS_OPEN = Gauge("soundflow_sessions_open", "Sessions that are open on this replica.")
SESSIONS_OPENED = Counter("soundflow_sessions_opened_total", "Sessions opened, by face.", ["face"])
SESSIONS_CLOSED = Counter(
    "soundflow_sessions_closed_total", "Sessions closed, by reason.", ["reason"]
)
SESSIONS_REFUSED = Counter(
    "soundflow_sessions_refused_total", "Sessions refused at open, by reason.", ["reason"]
)
REQUEST_ERRORS = Counter(
    "soundflow_request_errors_total", "Requests that were answered with an error.", ["code"]
)
AUDIO_SECONDS = Counter("soundflow_audio_seconds_total", "Seconds of audio accepted.")
AUDIO_GAP_SECONDS = Counter(
    "soundflow_audio_gap_seconds_total", "Seconds of missing audio that were heard as silence."
)
CHUNKS_ENCODED = Counter("soundflow_chunks_encoded_total", "Chunks turned into features.")
ENCODE_SECONDS = Histogram(
    "soundflow_encode_seconds", "Time to encode one chunk.", buckets=DECISION_BUCKETS_S
)
CHUNKS_HEARD = Counter("soundflow_chunks_heard_total", "Chunks that a decision covers.")
CHUNKS_DROPPED = Counter(
    "soundflow_chunks_dropped_total", "Chunks dropped unheard because a session's queue was full."
)
DECISIONS = Counter("soundflow_decisions_total", "Decisions made, by action.", ["action"])
DECISION_SECONDS = Histogram(
    "soundflow_decision_seconds",
    "Time from the arrival of a chunk's last sample to its decision.",
    buckets=DECISION_BUCKETS_S,
)
TURNS_STARTED = Counter("soundflow_turns_started_total", "Turns begun, by kind.", ["kind"])
TURNS_ENDED = Counter("soundflow_turns_ended_total", "Turns ended, by reason.", ["reason"])
FIRST_TEXT_SECONDS = Histogram(
    "soundflow_first_text_seconds",
    "Time from the arrival of a chunk's last sample to the first text that it led to.",
    ["kind"],
    buckets=DECISION_BUCKETS_S,
)
MESSAGES_REJECTED = Counter(
    "soundflow_messages_rejected_total",
    "Messages that a service could not handle and skipped.",
    ["service"],
)
