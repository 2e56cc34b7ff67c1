"""A Redis as in production: TLS, and for each program a user with the rights of ``ops/redis/leadlane.acl``.

The server of the wheel speaks no TLS, so a terminator stands before it, whatever the server is. A test itself looks in
past both: ``url`` is that of a user who may do everything, in plain.
"""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from redis import Redis

from leadlane.ops.embedded import EmbeddedRedis

ACL = Path(__file__).parents[1] / "ops" / "redis" / "leadlane.acl"
SWITCH = "LEADLANE_TEST_TLS"
FOREIGN = ("reports", "scratch")
"""Queues of other services, in tests of links and chords."""
ROLES = ("worker", "producer", "operator", "beat", "flower")
TERMINATOR = Path(__file__).with_name("tls_terminator.py")
PEM = serialization.Encoding.PEM
_FOLDER = TemporaryDirectory(prefix="leadlane-tls-")  # goes with the process


def make_redis(**options: Any) -> EmbeddedRedis:
    """A server for whole systems: a guarded one where LEADLANE_TEST_TLS is set."""
    return GuardedRedis(**options) if os.environ.get(SWITCH) else EmbeddedRedis(**options)


def login(redis: EmbeddedRedis, role: str) -> dict[str, str]:
    """The environment of a program of this role."""
    return redis.login(role) if isinstance(redis, GuardedRedis) else {"LEADLANE_REDIS_URL": redis.url}


def password_of(role: str) -> str:
    return f"{role}-p@ss/w:rd-7c1f"


class GuardedRedis(EmbeddedRedis):
    """Behind TLS, with the users of the ACL file, and one of the tests' own."""

    def __init__(self, **options: Any) -> None:
        users = [with_password(line) for line in ACL.read_text().splitlines() if line.startswith("user ")]
        super().__init__(**options, configuration=[*users, "user the-test on >past-all ~* &* +@all"])
        self._terminator: subprocess.Popen[str] | None = None
        self.tls_port = 0

    @property
    def url(self) -> str:
        return f"redis://the-test:past-all@127.0.0.1:{self.port}/0"

    def login(self, role: str) -> dict[str, str]:
        """URL, password and CA of a program, as it gets them in production."""
        secret = self.directory / f"password-{role}"
        secret.write_text(password_of(role))
        return {
            "LEADLANE_REDIS_URL": f"rediss://leadlane-{role}@localhost:{self.tls_port}/0",
            "LEADLANE_REDIS_PASSWORD": f"file:{secret}",
            "LEADLANE_REDIS_CA": str(certificates()[0]),
        }

    def start(self, *, within_s: float = 30.0) -> None:
        super().start(within_s=within_s)
        if self._terminator is None:
            _, certificate, key = certificates()
            self._terminator = subprocess.Popen(
                [sys.executable, TERMINATOR, certificate, key, str(self.port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert self._terminator.stdout
            self.tls_port = int(self._terminator.stdout.readline())

    def close(self) -> None:
        if self._terminator:
            self._terminator.kill()
            self._terminator.communicate()
            self._terminator = None
        super().close()

    def refusals(self) -> list[str]:
        """What any user was refused since the server began, as ``USER: kind of what``."""
        with Redis.from_url(self.url, decode_responses=True) as client:
            log: Any = client.acl_log()
            return [f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in log]


def with_password(line: str) -> str:
    """The user's line; the worker may call links in the queues that tests have of their own, as the file says."""
    role = line.split()[1].removeprefix("leadlane-")
    more = "".join(f" %W~{queue} %W~{queue}??[369]" for queue in FOREIGN) if role == "worker" else ""
    return f"{line}{more} >{password_of(role)}" if role in ROLES else line


@cache
def certificates() -> tuple[Path, Path, Path]:
    """Files of this test session: the CA's certificate, that of `localhost`, and its key."""
    folder = Path(_FOLDER.name)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("Leadlane tests", ca_key, "Leadlane tests", ca_key, ca=True)
    own = _certificate("localhost", key, "Leadlane tests", ca_key, ca=False)
    files = folder / "ca.pem", folder / "localhost.pem", folder / "localhost.key"
    files[0].write_bytes(ca.public_bytes(PEM))
    files[1].write_bytes(own.public_bytes(PEM))
    files[2].write_bytes(
        key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
