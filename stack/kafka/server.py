"""The broker, which is its own controller: format its folder, run it, ask for its health."""

import socket
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from stack.errors import NotReady
from stack.kafka.jars import locate
from stack.kafka.settings import BROKER, ONE_NODE
from stack.ports import HOST
from stack.programs import program
from stack.server import Server

LOG4J = Path(__file__).with_name("log4j2.properties")
# Names the node's data; any 16 bytes in base64 do, and they must stay the same over restarts.
CLUSTER_ID = "c291bmRmbG93LXN0YWNrLTE"
CHECK_TIMEOUT_S = 3.0

# Kafka's own protocol, for one question: kafka-python leaks a socket for each refused connection,
# and a server that is waited for refuses many. Metadata (3), version 1, request 1, no client's
# name, of no topics; the answer begins with its size, the request's number, how many brokers.
_METADATA = struct.pack(">hhihi", 3, 1, 1, -1, 0)
METADATA_REQUEST = struct.pack(">i", len(_METADATA)) + _METADATA
ANSWER = struct.Struct(">iii")


class KafkaServer(Server):
    """One broker. port: where clients come; 0 takes free ports, kept over restarts."""

    def __init__(self, folder: Path, port: int = 0, controller_port: int = 0) -> None:
        super().__init__(folder, "kafka", {"broker": port, "controller": controller_port})

    @property
    def brokers(self) -> str:
        """Where clients find it, as SOUNDFLOW_KAFKA_BROKERS."""
        return f"{HOST}:{self.ports['broker']}"

    @property
    def settings(self) -> dict[str, str]:
        """The broker's settings file."""
        controller = f"{HOST}:{self.ports['controller']}"
        return {
            **BROKER,
            **ONE_NODE,
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.brokers},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.brokers}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
        }

    def prepare(self) -> None:
        """Write the settings; format the data's folder where it is new."""
        super().prepare()
        lines = [f"{name}={value}\n" for name, value in self.settings.items()]
        self._file.write_text("".join(lines))
        if (self.folder / "data" / "meta.properties").exists():
            return
        tool = self._java("kafka.tools.StorageTool")
        arguments = ["format", "--cluster-id", CLUSTER_ID, "--config", str(self._file)]
        done = subprocess.run([*tool, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            raise NotReady(f"cannot format {self.folder}: {done.stdout}{done.stderr}")

    def command(self) -> Sequence[str]:
        """Return the broker's command line."""
        return [*self._java("kafka.Kafka"), str(self._file)]

    def check(self) -> None:
        """Ask who is in the cluster: a broker names itself there once it may serve."""
        with socket.create_connection((HOST, self.ports["broker"]), CHECK_TIMEOUT_S) as connection:
            connection.sendall(METADATA_REQUEST)
            with connection.makefile("rb") as answers:
                answer = answers.read(ANSWER.size)
        if len(answer) < ANSWER.size or ANSWER.unpack(answer)[2] == 0:
            raise NotReady("no broker is in the cluster yet")

    @property
    def _file(self) -> Path:
        return self.folder / "server.properties"

    def _java(self, main: str) -> list[str]:
        jars = locate() / "*"
        log4j = f"-Dlog4j2.configurationFile={LOG4J}"
        return [program("java"), "-Xms128m", "-Xmx512m", log4j, "-cp", str(jars), main]
