"""A broker with further listeners, where clients must show who they are, over TLS too."""

import subprocess
from pathlib import Path

from kafka.admin import KafkaAdminClient, UserScramCredentialUpsertion

from stack.kafka import KafkaServer
from stack.ports import HOST, free_ports

USER, PASSWORD = "soundflow", "its-secret"
SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_LOGIN = "org.apache.kafka.common.security"
LOGINS = {
    "PLAIN": f'{_LOGIN}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
    **dict.fromkeys(SCRAM, f"{_LOGIN}.scram.ScramLoginModule required;"),
}


class SecuredKafka(KafkaServer):
    """Beside its plain listener, which health checks use, one for each other protocol."""

    protocols = ("SSL", "SASL_PLAINTEXT", "SASL_SSL")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        ports = free_ports(len(self.protocols))
        self.ports |= dict(zip(self.protocols, ports, strict=True))

    @property
    def ca_file(self) -> Path:
        """The authority that made the broker's certificate: the broker itself."""
        return self.folder / "certificate.pem"

    def brokers_for(self, protocol: str) -> str:
        """Return where clients of a protocol find it."""
        return f"{HOST}:{self.ports[protocol]}"

    @property
    def settings(self) -> dict[str, str]:
        """The same, and the listeners."""
        plain = super().settings
        further = [f"{name}://{self.brokers_for(name)}" for name in self.protocols]
        maps = [f"{name}:{name}" for name in self.protocols]
        sasl = [name for name in self.protocols if name.startswith("SASL")]
        return {
            **plain,
            "listeners": ",".join([plain["listeners"], *further]),
            "advertised.listeners": ",".join([plain["advertised.listeners"], *further]),
            "listener.security.protocol.map": ",".join(
                [plain["listener.security.protocol.map"], *maps]
            ),
            "sasl.enabled.mechanisms": ",".join(LOGINS),
            **{
                f"listener.name.{name.lower()}.{mechanism.lower()}.sasl.jaas.config": login
                for name in sasl
                for mechanism, login in LOGINS.items()
            },
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.folder / "keystore.pem"),
        }

    def ready(self) -> None:
        """Wait until it is healthy, and have it know the user by SCRAM, whose secrets it keeps."""
        super().ready()
        client = KafkaAdminClient(bootstrap_servers=self.brokers)
        for mechanism in SCRAM:
            user = UserScramCredentialUpsertion(USER, mechanism, PASSWORD)
            assert client.alter_user_scram_credentials([user]) == {USER: None}
        client.close()

    def prepare(self) -> None:
        """Make the broker's key and certificate first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        key = self.folder / "key.pem"
        command = [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", f"/CN={HOST}", "-addext", f"subjectAltName=IP:{HOST}"),
            *("-keyout", str(key), "-out", str(self.ca_file)),
        ]
        subprocess.run(command, check=True, capture_output=True)
        (self.folder / "keystore.pem").write_text(key.read_text() + self.ca_file.read_text())
        super().prepare()
