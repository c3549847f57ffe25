"""etcd and the API server as processes on this machine."""

import json
import secrets
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.request import Request, urlopen

from helm.server.build import locate
from stack.errors import NotReady
from stack.ports import HOST
from stack.server import Server

CHECK_TIMEOUT_S = 3.0


class EtcdServer(Server):
    """The store of one API server, for as long as that runs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "etcd", {"client": 0, "peer": 0})

    @property
    def url(self) -> str:
        """Where the API server finds it."""
        return f"http://{HOST}:{self.ports['client']}"

    def command(self) -> Sequence[str]:
        """Return the command line."""
        peer = f"http://{HOST}:{self.ports['peer']}"
        return [
            str(locate() / "etcd"),
            f"--data-dir={self.folder / 'data'}",
            *(f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"),
            f"--initial-cluster=default={peer}",
            *("--unsafe-no-fsync", "--log-level=warn"),
        ]

    def check(self) -> None:
        """Ask for its health."""
        with urlopen(f"{self.url}/health", timeout=CHECK_TIMEOUT_S) as answer:
            if json.load(answer)["health"] != "true":
                raise NotReady("etcd is not healthy")


class ApiServer(Server):
    """Kubernetes' API as a cluster of its version has it; nothing that is made ever runs."""

    def __init__(self, folder: Path, etcd: EtcdServer) -> None:
        super().__init__(folder, "kube-apiserver", {"https": 0})
        self.etcd = etcd
        self.token = secrets.token_hex()

    def prepare(self) -> None:
        """Make the key of service accounts, and the one user's token."""
        super().prepare()
        key = ["openssl", "genrsa", "-out", str(self.folder / "accounts.key"), "2048"]
        subprocess.run(key, check=True, capture_output=True)
        (self.folder / "tokens.csv").write_text(f"{self.token},admin,admin,system:masters\n")

    def command(self) -> Sequence[str]:
        """Return the command line."""
        key = self.folder / "accounts.key"
        return [
            str(locate() / "kube-apiserver"),
            f"--etcd-servers={self.etcd.url}",
            *(f"--bind-address={HOST}", f"--secure-port={self.ports['https']}"),
            *(f"--advertise-address={HOST}", "--endpoint-reconciler-type=none"),
            f"--cert-dir={self.folder / 'certificates'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            *(f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"),
            "--service-cluster-ip-range=10.96.0.0/16",
            # A controller, which does not run here, would make the accounts that it asks for.
            "--disable-admission-plugins=ServiceAccount",
        ]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://{HOST}:{self.ports['https']}"

    def check(self) -> None:
        """Ask whether it is ready."""
        request = Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {self.token}"})
        tls = ssl.create_default_context(cafile=str(self.certificate))
        urlopen(request, timeout=CHECK_TIMEOUT_S, context=tls).close()

    def kubectl(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl as a user who may do everything."""
        command = [
            str(locate() / "kubectl"),
            f"--server={self.url}",
            f"--certificate-authority={self.certificate}",
            f"--token={self.token}",
            f"--cache-dir={self.folder / 'kubectl'}",
            *arguments,
        ]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False)

    @property
    def certificate(self) -> Path:
        """Of the server itself."""
        return self.folder / "certificates" / "apiserver.crt"
