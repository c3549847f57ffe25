"""A chunk on its way to its topic: again and again, as long as its session runs."""

from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from services.core.errors import Unavailable
from services.core.messages import AudioMessage
from services.ingestion.live import LiveSession
from services.transport.port import Topic


async def send(audio: Topic[AudioMessage], session: LiveSession, message: AudioMessage) -> None:
    """Send a chunk; where the topic is away, until it is back or the session has ended."""
    try:
        await audio.send(message)
    except Unavailable:  # only now: making ready to try again costs as much as sending
        if session.ended.is_set() or not await _send_again(audio, session, message):
            return
    session.chunks = max(session.chunks, message.chunk.index + 1)
    session.finished = session.finished or message.chunk.last


async def _send_again(
    audio: Topic[AudioMessage], session: LiveSession, message: AudioMessage
) -> bool:
    """Return whether it was sent; else the session ended meanwhile."""
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_random_exponential(multiplier=0.05, max=1),
        stop=lambda _: session.ended.is_set(),
        reraise=True,
    )
    try:
        await retrying(audio.send, message)
    except Unavailable:
        return False
    return True
