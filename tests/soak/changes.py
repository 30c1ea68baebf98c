"""Changes that a webhook goes through while it runs: rules, certificates and mirrors."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import trustme
import yaml

from tests.soak.traffic import HOST
from tests.tools.mirror import Mirror
from tests.tools.volume import mount

__all__ = ["Changes"]

RULES_EVERY, CERTIFICATES_EVERY, OUTAGES_EVERY = 60.0, 150.0, 300.0
OUTAGE = 15.0
GARBAGE_EVERY = 5
HOSTS = ("docker.io", "quay.io", "registry.k8s.io", "ghcr.io")


@dataclass
class Changes:
    """Rules and certificate in mounted folders, and a mirror; all of them change.

    Attributes:
        folder: The folder of the rules and of the certificate.
        mirror: Has every image while it is up.
        rules: When the rules changed, by `time.monotonic`.
        certificates: When the certificate changed.
        outages: How often the mirror was down.
    """

    folder: Path
    mirror: Mirror = field(default_factory=Mirror)
    rules: list[float] = field(default_factory=list)
    certificates: list[float] = field(default_factory=list)
    outages: int = 0
    _authority: trustme.CA = field(default_factory=trustme.CA)
    _stopping: Event = field(default_factory=Event)
    _threads: list[Thread] = field(default_factory=list)

    @property
    def options(self) -> tuple[str, ...]:
        """Options of the webhook for its certificate."""
        tls = self.folder / "tls"
        return "--tls-cert", str(tls / "tls.crt"), "--tls-key", str(tls / "tls.key")

    @property
    def path(self) -> Path:
        """The rules file."""
        return self.folder / "rules/rules.yaml"

    @property
    def trust(self) -> ssl.SSLContext:
        """Verifies the certificate, whichever is in use."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._authority.configure_trust(context)
        return context

    def prepare(self) -> None:
        """Write the first rules and the first certificate."""
        self._change_rules()
        self._change_certificate()
        Thread(target=self.mirror.run, daemon=True).start()

    def start(self) -> None:
        """Begin to change them."""
        for work in (self._keep_changing_rules, self._keep_renewing, self._flap):
            self._threads.append(Thread(target=work))
            self._threads[-1].start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _keep_changing_rules(self) -> None:
        while not self._stopping.wait(RULES_EVERY):
            self._change_rules()

    def _keep_renewing(self) -> None:
        while not self._stopping.wait(CERTIFICATES_EVERY):
            self._change_certificate()

    def _flap(self) -> None:
        while not self._stopping.wait(OUTAGES_EVERY):
            self.outages += 1
            self.mirror.up.clear()
            self._stopping.wait(OUTAGE)
            self.mirror.up.set()

    def _change_rules(self) -> None:
        number = len(self.rules) + 1
        targets = [
            {"match": host, "mirrors": [f"mirror-{number % 7}.example.com/{host}"]}
            for host in HOSTS
        ]
        many = [
            {"match": f"quay.io/team-{number}-{n}", "mirrors": [f"mirror.example.com/{n}"]}
            for n in range(200)
        ]
        checked = [{"match": host, "mirrors": [f"{self.mirror.address}/{host}"]} for host in HOSTS]
        availability = {"mode": "check", "plainHTTP": [self.mirror.address]}
        rules = {
            "rules": targets + many,
            "policies": {"checked": {"rules": checked, "availability": availability}},
        }
        text = "rules: [" if number % GARBAGE_EVERY == 0 else yaml.safe_dump(rules)
        mount(self.folder / "rules", str(len(self.rules)), {"rules.yaml": text.encode()})
        self.rules.append(time.monotonic())

    def _change_certificate(self) -> None:
        issued = self._authority.issue_cert(HOST)
        chain = b"".join(each.bytes() for each in issued.cert_chain_pems)
        files = {"tls.crt": chain, "tls.key": issued.private_key_pem.bytes()}
        mount(self.folder / "tls", str(len(self.certificates)), files)
        self.certificates.append(time.monotonic())
