"""Every metric of the platform, declared once; dashboards and alerts name only these."""

from prometheus_client import Counter, Gauge, Histogram

# Around the promise of one decision within one 400 ms chunk.
DECISION_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 2.0, 5.0, 15.0)
# One call of many that must fit into a chunk together: fine far below the promise.
CALL_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 2.0, 5.0)
# A pause that a caller notices, up to one that looks like the end.
PAUSE_BUCKETS_S = (0.1, 0.2, 0.4, 0.8, 1.2, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)

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
SESSIONS_HELD = Gauge(
    "soundflow_sessions_held",
    "Sessions of which this replica of a service behind ingestion keeps something.",
    ["service"],
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
DECISIONS = Counter(
    "soundflow_decisions_total",
    "Decisions made, by action and by the model's version, 0 where it has none.",
    ["action", "version"],
)
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
RETRIES = Counter(
    "soundflow_retries_total",
    "Pieces of work that wait for a part of the platform to come back, by what was missing.",
    ["missing"],
)

# Topics. The label `topic` is the name in wire.py, without a deployment's prefix.
MESSAGES_SENT = Counter(
    "soundflow_messages_sent_total", "Messages that a topic has taken and kept.", ["topic"]
)
MESSAGES_RECEIVED = Counter(
    "soundflow_messages_received_total",
    "Messages that a service was given, repeats included.",
    ["topic"],
)
SEND_SECONDS = Histogram(
    "soundflow_send_seconds",
    "Time until a topic had kept a message.",
    ["topic"],
    buckets=CALL_BUCKETS_S,
)
SEND_ERRORS = Counter(
    "soundflow_send_errors_total", "Messages that a topic could not be made to keep.", ["topic"]
)
DEAD_LETTERS = Counter(
    "soundflow_dead_letters_total",
    "Messages set aside as dead letters, by topic and kind of error.",
    ["topic", "reason"],
)
CONSUMER_LAG = Gauge(
    "soundflow_consumer_lag_messages",
    "Messages that a topic holds and this replica's share of a service has not acknowledged.",
    ["topic"],
)
UNACKNOWLEDGED_SECONDS = Gauge(
    "soundflow_consumer_unacknowledged_seconds",
    "Age of the oldest message that was taken and is not acknowledged; 0 when there is none.",
    ["topic"],
)
REBALANCES = Counter(
    "soundflow_consumer_rebalances_total", "Times that this replica was given other partitions."
)
CONSUMER_STALLS = Counter(
    "soundflow_consumer_stalls_total",
    "Times that the watchdog found messages waiting and none being taken.",
)

# Session records in Redis.
REDIS_SECONDS = Histogram(
    "soundflow_redis_seconds",
    "Time of one operation on session records, retries included.",
    ["operation"],
    buckets=CALL_BUCKETS_S,
)
REDIS_ERRORS = Counter(
    "soundflow_redis_errors_total", "Operations on session records that failed.", ["operation"]
)
REDIS_BEHIND = Gauge(
    "soundflow_redis_behind_changes", "Changes to session records that still wait to be written."
)

# Calls to inference servers. `model` is encoder or decoder.
INFERENCE_SECONDS = Histogram(
    "soundflow_inference_seconds",
    "Time of one call to an inference server, retries included.",
    ["model", "operation"],
    buckets=CALL_BUCKETS_S,
)
INFERENCE_ERRORS = Counter(
    "soundflow_inference_errors_total",
    "Calls to an inference server that failed for good.",
    ["model", "operation"],
)
INFERENCE_RETRIES = Counter(
    "soundflow_inference_retries_total",
    "Calls to an inference server that were made again.",
    ["model", "operation"],
)
DECODER_EVENTS = Counter(
    "soundflow_decoder_events_total", "What decoders met or did by themselves, by event.", ["event"]
)
REPLICAS_ALIVE = Gauge(
    "soundflow_inference_replicas_alive",
    "Inference servers that answer, as this replica sees them.",
    ["model"],
)
REPLICAS_LOST = Counter(
    "soundflow_inference_replicas_lost_total",
    "Times that this replica found an inference server gone.",
    ["model"],
)
SESSIONS_MOVED = Counter(
    "soundflow_sessions_moved_total", "Sessions given to another decoder replica."
)
SESSIONS_REBUILT = Counter(
    "soundflow_sessions_rebuilt_total", "Sessions whose decoder state was built again from history."
)
REBUILD_SECONDS = Histogram(
    "soundflow_session_rebuild_seconds",
    "Time from the loss of a session's decoder state until it hears live audio again.",
    buckets=PAUSE_BUCKETS_S,
)

# The way back to callers.
EVENTS_DELIVERED = Counter(
    "soundflow_events_delivered_total", "Events handed to the ingestion replica of their caller."
)
EVENTS_UNDELIVERED = Counter(
    "soundflow_events_undelivered_total",
    "Events that reached no ingestion replica; they stay in the record for a caller who resumes.",
)
DELIVERY_SECONDS = Histogram(
    "soundflow_delivery_seconds",
    "Time to hand a batch of events to the ingestion replica of their caller.",
    buckets=CALL_BUCKETS_S,
)
EVENTS_REPLAYED = Counter(
    "soundflow_events_replayed_total", "Events read from the record to fill what a caller missed."
)
EVENTS_REPEATED = Counter(
    "soundflow_events_repeated_total", "Events dropped because their caller had them already."
)

# Sessions over the whole platform.
SESSIONS_RESUMED = Counter(
    "soundflow_sessions_resumed_total", "Sessions that a caller went on with after a break."
)
LEASES_EXPIRED = Counter(
    "soundflow_leases_expired_total",
    "Sessions closed because the replica that held them was gone and no caller resumed.",
)
PLATFORM_SESSIONS = Gauge(
    "soundflow_platform_sessions_open",
    "Sessions open on all replicas together, as the session store counts them.",
)
PLATFORM_CAPACITY = Gauge(
    "soundflow_platform_sessions_capacity", "Sessions that all replicas together may hold open."
)
