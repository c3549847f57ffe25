"""How this process comes in to the brokers: by TLS, by a user's name and password, or just so."""

import ssl
from typing import Any

import faust

from services.core.errors import Unavailable
from services.transport.kafka.config import KafkaConfig


def client_options(config: KafkaConfig) -> dict[str, Any]:
    """Return where the brokers are and how to come in, as aiokafka and kafka-python take it.

    Unavailable where the authorities' certificates cannot be read.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": config.brokers,
        "security_protocol": config.kafka_security_protocol,
    }
    if config.kafka_encrypted:
        options["ssl_context"] = _tls(config)
    if config.kafka_authenticated:
        options |= {
            "sasl_mechanism": config.kafka_sasl_mechanism,
            "sasl_plain_username": config.kafka_username,
            "sasl_plain_password": config.kafka_password.get_secret_value(),
        }
    return options


def faust_credentials(config: KafkaConfig) -> faust.auth.Credentials | None:
    """Return the same as Faust takes it; None where brokers ask for nothing."""
    tls = _tls(config) if config.kafka_encrypted else None
    if config.kafka_authenticated:
        return faust.SASLCredentials(
            username=config.kafka_username,
            password=config.kafka_password.get_secret_value(),
            mechanism=config.kafka_sasl_mechanism,
            ssl_context=tls,
        )
    return faust.SSLCredentials(tls) if tls else None


def _tls(config: KafkaConfig) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=config.kafka_ca_file or None)
    except OSError as error:  # which does not say of what file
        raise Unavailable(
            "transport_unavailable",
            f"kafka_ca_file (SOUNDFLOW_KAFKA_CA_FILE) is {config.kafka_ca_file!r}, where there are "
            f"no authorities' certificates in PEM: {error}",
        ) from error
