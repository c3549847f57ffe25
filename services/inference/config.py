"""The models' settings, read once at start from SOUNDFLOW_… variables."""

from pydantic import Field, field_validator

from soundflow.serving.settings import ModelSettings


class InferenceConfig(ModelSettings):
    """Where the inference servers are, and how long each thing may take.

    Servers themselves read the part that they share, the model and what it needs.
    """

    # host:port, several with commas between them. A name may stand for many servers, as that of a
    # headless service does: it is looked up again every so often.
    encoder_addresses: str = "127.0.0.1:8001"
    decoder_addresses: str = "127.0.0.1:8001"
    resolve_interval_s: float = Field(default=5, gt=0)
    # One attempt; a server that takes longer is not waited for.
    encode_timeout_s: float = Field(default=5, gt=0)
    # All attempts.
    encode_patience_s: float = Field(default=30, gt=0)
    # A decoder is asked so often whether it lives, and lost when it is silent for so long.
    decoder_ping_s: float = Field(default=1, gt=0)
    decoder_silent_s: float = Field(default=3, gt=0)
    # While no decoder answers at all.
    decoder_patience_s: float = Field(default=60, gt=0)

    @field_validator("encoder_addresses", "decoder_addresses")
    @classmethod
    def _check_addresses(cls, joined: str) -> str:
        """Refuse here what could never be looked up: else it would be waited for in vain."""
        for address in _addresses(joined) or [""]:
            host, _, port = address.rpartition(":")
            if not (host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
                raise ValueError(f"{address!r} is not host:port, such as decoder:8001")
        return joined

    @property
    def encoders(self) -> list[str]:
        """The addresses of the encoders."""
        return _addresses(self.encoder_addresses)

    @property
    def decoders(self) -> list[str]:
        """The addresses of the decoders."""
        return _addresses(self.decoder_addresses)


def _addresses(joined: str) -> list[str]:
    return [address.strip() for address in joined.split(",") if address.strip()]
