#!/usr/bin/env python3
"""The clouds of `make lab-cloud`, in one background process: DigitalOcean's API, AWS's, and the exchange that the bots trade at.

    vendors.py --group GROUP --prefix PREFIX --names NAME [NAME ...] < SECRETS

SECRETS is JSON with `token`, the only one that DigitalOcean's API takes. Real hosts stand behind the machines (lab/cloud_hosts.py). The APIs listen on
this machine only, the exchange where the hosts reach it, on PREFIX.1. What has been made of them is in memory and ends with the process. It writes
.cache/GROUP/vendors.json (pid and addresses) when all of them answer, an authority to .cache/GROUP/ca.pem, and below .cache/GROUP/tls a certificate for
each NAME, signed by it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import shlex
import signal
import sys
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples/mock_exchange")]

from emulators.aws.server import Server  # noqa: E402 - found by the line above
from emulators.digitalocean import Emulator  # noqa: E402
from mock_exchange.book import Book  # noqa: E402
from mock_exchange.server import Exchange  # noqa: E402

DAYS = 30


def write(path: pathlib.Path, data: bytes) -> None:
    """Write a file that nobody else may read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
        handle.write(data)


def certificate(name: str, key, issuer: str, signer, authority: bool) -> bytes:
    """A certificate of `key` for a DNS name, or of an authority, as PEM."""
    began = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5)
    builder = x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
    builder = builder.issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(began).not_valid_after(began + datetime.timedelta(days=DAYS))
    builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    if authority:
        usage = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
        usage.update(key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False)
        builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def certificates(state: pathlib.Path, names: list[str]) -> None:
    """An authority that forgets its key at once, and a certificate of it for each name."""
    directory, issuer, signer = state / "tls", "botops lab cloud", ec.generate_private_key(ec.SECP256R1())
    directory.mkdir(exist_ok=True)
    write(state / "ca.pem", certificate(issuer, signer, issuer, signer, authority=True))
    for name in names:
        key = ec.generate_private_key(ec.SECP256R1())
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        write(directory / f"{name}.key", key.private_bytes(*form))
        write(directory / f"{name}.pem", certificate(name, key, issuer, signer, authority=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--names", nargs="+", required=True)
    args = parser.parse_args()
    state = ROOT / ".cache" / args.group
    token = json.load(sys.stdin)["token"]
    hook = shlex.join([sys.executable, str(ROOT / "lab/cloud_hosts.py"), "--group", args.group, "--prefix", args.prefix])
    certificates(state, args.names)
    exchange = Exchange((f"{args.prefix}.1", 0), Book(str(state / "exchange.db")))
    threading.Thread(target=exchange.serve_forever, daemon=True).start()
    specification = os.environ.get("BOTOPS_DIGITALOCEAN_OPENAPI")
    with Emulator(token=token, specification=specification, hook=hook, action_ms=500) as digitalocean, Server(hook=hook) as aws:
        where = {"digitalocean": digitalocean.url, "aws": aws.url, "exchange": f"http://{args.prefix}.1:{exchange.server_address[1]}"}
        record = json.dumps({"pid": os.getpid(), "judged": bool(specification), **where})
        (state / "vendors.new").write_text(record)
        (state / "vendors.new").replace(state / "vendors.json")
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
        (state / "vendors.json").unlink(missing_ok=True)
    exchange.shutdown()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
