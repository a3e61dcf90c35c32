"""A throw-away certificate authority and what it signs, made with the openssl command."""

import subprocess


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, stdin=subprocess.DEVNULL, capture_output=True)


class Authority:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca, self.ca_key = folder / "ca.crt", folder / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self.ca_key, "-out", self.ca, "-days", "30", "-subj", "/CN=Test CA")

    def issue(self, name, hosts="DNS:localhost,IP:127.0.0.1", days=30):
        """(certificate, key) for these hosts."""
        crt, key, csr, ext = (self.folder / f"{name}.{e}" for e in ("crt", "key", "csr", "ext"))
        ext.write_text(f"subjectAltName={hosts}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", key, "-out", csr, "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", csr, "-CA", self.ca, "-CAkey", self.ca_key,
                "-CAcreateserial", "-days", str(days), "-extfile", ext, "-out", crt)
        key.chmod(0o600)
        return crt, key
