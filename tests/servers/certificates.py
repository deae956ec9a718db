"""Certificates for one server on loopback, made by the `openssl` command.

Knows: openssl. Must not know: who uses them.
"""

import subprocess
from pathlib import Path

DAYS = "30"
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


class Certificates:
    """An authority, and what it signed: a server on loopback and a client whose common name is `noria`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.authority, self._authority_key = self._issue("authority", "noria tests", signed=False)
        self.server, self.server_key = self._issue("server", "localhost", extension=NAMES)
        self.client, self.client_key = self._issue("client", "noria", extension="extendedKeyUsage=clientAuth")

    def _issue(
        self, name: str, subject: str, *, extension: str = "", signed: bool = True
    ) -> tuple[Path, Path]:
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        command = ["openssl", "req", "-x509", "-nodes", "-days", DAYS, "-subj", f"/CN={subject}"]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-out", str(certificate), "-keyout", str(key)]
        if signed:
            command += ["-CA", str(self.authority), "-CAkey", str(self._authority_key)]
            command += ["-addext", "basicConstraints=critical,CA:FALSE"]
        if extension:
            command += ["-addext", extension]
        subprocess.run(command, check=True, capture_output=True)
        return certificate, key
