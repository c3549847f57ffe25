"""What only the public API's protobuf messages hold, to what ingestion works with and back."""

from services.core.errors import BadRequest
from services.core.generated.soundflow.v1 import interaction_service_pb2 as api
from services.core.generated.soundflow.v1 import stream_pb2 as pb
from services.core.wire_values import enum_from_proto, enum_to_proto, spec_to_proto
from services.ingestion.resuming import Claim
from services.state.port import SessionRecord
from soundflow.audio import MAX_CHANNELS, SAMPLE_RATE_HZ, AudioError, AudioFormat, Encoding


def format_from_proto(proto: api.AudioFormat) -> AudioFormat:
    """Read how samples are written; what is not set has the default. BadRequest."""
    try:
        return AudioFormat(
            encoding=_encoding(proto.encoding),
            sample_rate_hz=proto.sample_rate_hz or SAMPLE_RATE_HZ,
            channels=proto.channels or 1,
        )
    except AudioError as error:
        raise BadRequest(error.code, str(error)) from error


def claims_from_proto(proto: api.ResumeSessions) -> list[Claim]:
    """Read which sessions a caller goes on with. BadRequest."""
    if not 1 <= len(proto.sessions) <= MAX_CHANNELS:
        raise BadRequest(
            "bad_message", f"resume names 1 to {MAX_CHANNELS} sessions, got {len(proto.sessions)}"
        )
    return [
        Claim(session.session_id, session.resume_token, session.last_event_id)
        for session in proto.sessions
    ]


def splits_channels(layout: int) -> bool:
    """Tell whether each channel is a session of its own. BadRequest for an unknown layout."""
    if layout not in api.Channels.values():
        raise BadRequest("bad_message", f"{layout} is no layout; use CHANNELS_MIX or _SPLIT")
    return layout == api.CHANNELS_SPLIT


def record_to_proto(record: SessionRecord) -> api.GetSessionResponse:
    """Write what is known of a session."""
    return api.GetSessionResponse(
        session_id=record.session_id,
        spec=spec_to_proto(record.spec),
        last_index=record.last_index,
        turns=[
            api.PastTurn(
                turn=past.turn, kind=enum_to_proto(past.kind, pb.Kind, "KIND"), text=past.text
            )
            for past in record.turns
        ],
        opened_unix_us=record.opened_unix_us,
        closed=record.closed,
    )


def _encoding(value: int) -> Encoding:
    if value == api.ENCODING_UNSPECIFIED:
        return Encoding.PCM_S16LE
    return enum_from_proto(value, Encoding, api.Encoding, "ENCODING")
