# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a PEM certificate and a PEM key belong together and serve some names. Control node only; keys are never repeated."""

from __future__ import annotations

import datetime
import re

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def is_certificate(text):
    return bool(CERTIFICATE.search(text))


def covers(pattern, name):
    """RFC 6125: a wildcard stands for one label, the first."""
    pattern, name = pattern.lower(), name.lower()
    if pattern == name:
        return True
    return pattern.startswith("*.") and name.partition(".")[2] == pattern[2:] and not name.startswith("*.")


def check_pair(where, certificate, key, names):
    # ansible-core itself depends on cryptography; only this check needs it.
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    first = CERTIFICATE.search(certificate)
    if not first:
        return ["%s.certificate: is not a PEM certificate; it begins with -----BEGIN CERTIFICATE-----" % where]
    try:
        leaf = x509.load_pem_x509_certificate(first.group(0).encode())
    except ValueError:
        return ["%s.certificate: its first certificate cannot be read; was it pasted whole?" % where]
    if "ENCRYPTED" in key:
        return ["%s.key: is encrypted; nginx cannot ask for the passphrase: decrypt it and keep it in a vault" % where]
    try:
        private = serialization.load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError):
        return ["%s.key: is not a PEM private key that can be read; was it pasted whole?" % where]
    found = []
    if private.public_key().public_bytes(*spki(serialization)) != leaf.public_key().public_bytes(*spki(serialization)):
        found.append("%s.key: does not belong to the certificate; the first certificate must be the site's own" % where)
    ends = leaf.not_valid_after_utc if hasattr(leaf, "not_valid_after_utc") else None
    if ends is not None and ends < datetime.datetime.now(datetime.timezone.utc):
        found.append("%s.certificate: expired on %s" % (where, ends.date()))
    try:
        patterns = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        patterns = []
    missing = [name for name in names if not any(covers(pattern, name) for pattern in patterns)]
    if missing:
        said = ", ".join(patterns) or "no name"
        found.append("%s.certificate: is for %s and does not cover %s" % (where, said, ", ".join(missing)))
    return found


def spki(serialization):
    return serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
