# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates on a host: what is there, what is missing, and whether an ACME server could reach the challenge."""

from __future__ import annotations

import datetime
import http.client
import os
import re
import secrets
import shutil
import socket

LETSENCRYPT = "/etc/letsencrypt"
CHALLENGE = "/.well-known/acme-challenge/"
ANSWER_BYTES = 4096


class Problem(Exception):
    """One sentence for the operator."""


# --- reading -------------------------------------------------------------------------------------------


def parse_x509(text):
    """The output of `openssl x509 -noout -dates -serial -ext subjectAltName` as a dictionary."""
    fields = dict(line.split("=", 1) for line in text.splitlines() if re.match(r"(notBefore|notAfter|serial)=", line))

    def moment(value):
        parsed = datetime.datetime.strptime(value.replace(" GMT", ""), "%b %d %H:%M:%S %Y")
        return parsed.replace(tzinfo=datetime.timezone.utc)

    return {
        "not_before": moment(fields["notBefore"]),
        "not_after": moment(fields["notAfter"]),
        "serial": fields["serial"],
        "names": sorted(name.lower() for name in re.findall(r"DNS:([^\s,]+)", text)),
    }


def read_certificate(module, path):
    """What the first certificate of a file says, or None if there is none that can be read."""
    if not os.path.exists(path):
        return None
    argv = ["openssl", "x509", "-in", path, "-noout", "-dates", "-serial", "-ext", "subjectAltName"]
    status, out, err = module.run_command(argv)
    if status:
        return None
    try:
        return parse_x509(out)
    except (KeyError, ValueError):
        return None


def parse_renewal(text):
    """The `key = value` lines of certbot's renewal configuration; sections do not matter here."""
    return dict(re.findall(r"^\s*(\w+)\s*=\s*(.*?)\s*$", text, re.MULTILINE))


def read_renewal(name, root=LETSENCRYPT):
    try:
        with open("%s/renewal/%s.conf" % (root, name)) as stream:
            return parse_renewal(stream.read())
    except OSError:
        return None


def remnants(name, root=LETSENCRYPT):
    """What certbot keeps of a certificate: (kind, path) for each part that exists."""
    parts = {"renewal": "%s/renewal/%s.conf", "live": "%s/live/%s", "archive": "%s/archive/%s"}
    return [(kind, pattern % (root, name)) for kind, pattern in parts.items() if os.path.lexists(pattern % (root, name))]


def incomplete(found, renewal, parts):
    """Whether certbot would stumble over what it kept: something is there, but not all of it, or not readable."""
    return bool(parts) and (len(parts) < 3 or found is None or not (renewal or {}).get("fullchain"))


def set_aside(name, link, refuge, root=LETSENCRYPT):
    """Move an incomplete lineage away. certbot would not touch it, but keep the new certificate under another name.

    What is served meanwhile is copied to `refuge`, so that `link` never points to nothing. Returns where it all went.
    """
    if os.path.exists(link + "/fullchain.pem") and os.path.realpath(link) != os.path.realpath(refuge):
        os.makedirs(refuge, mode=0o755, exist_ok=True)
        for part in ("privkey.pem", "fullchain.pem"):
            with open(os.path.join(link, part), "rb") as stream:
                content = stream.read()
            temporary = os.path.join(refuge, part + ".new")
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
                stream.write(content)
            os.replace(temporary, os.path.join(refuge, part))
        point(link, refuge)
    aside = "%s/incomplete/%s-%s" % (root, name, datetime.datetime.now().strftime("%Y%m%d%H%M%S"))
    os.makedirs(aside, mode=0o700)
    for kind, path in remnants(name, root):
        os.rename(path, os.path.join(aside, kind))
    return aside


# --- deciding ------------------------------------------------------------------------------------------


def selfsigned_reason(found, names, now):
    """Why a self-signed certificate has to be made (again), or None."""
    if found is None:
        return "there is none"
    if found["names"] != sorted(name.lower() for name in names):
        return "its names differ"
    if found["not_after"] - now < datetime.timedelta(days=30):
        return "it expires within 30 days"
    return None


def acme_reason(found, renewal, wanted, now):
    """Why the ACME server has to be asked, or None. `wanted`: names, directory, key_type, challenge."""
    if found is None or renewal is None:
        return "there is none"
    if found["names"] != sorted(name.lower() for name in wanted["names"]):
        return "its names differ"
    if renewal.get("server") != wanted["directory"]:
        return "it comes from another directory, %s" % renewal.get("server")
    if renewal.get("key_type", "rsa") != wanted["key_type"]:
        return "its key type differs"
    if renewal.get("authenticator") != authenticator(wanted["challenge"]):
        return "it is renewed by another challenge"
    # certbot's timer renews at a third of the lifetime. Far beyond that it has evidently failed.
    lifetime = found["not_after"] - found["not_before"]
    if found["not_after"] - now < lifetime / 6:
        return "it should have been renewed long ago (look at `journalctl -u certbot`)"
    return None


def authenticator(challenge):
    return {"webroot": "webroot", "dns": "manual"}[challenge]


def certbot_argv(certificate, params):
    """The whole command. Nothing secret is in it: DNS credentials live in the hook scripts."""
    argv = ["certbot", "certonly", "--non-interactive", "--agree-tos", "--server", params["directory"]]
    argv += ["--email", params["email"], "--no-eff-email"] if params["email"] else ["--register-unsafely-without-email"]
    argv += ["--cert-name", certificate["name"], "--key-type", params["key_type"]]
    # The reason was decided before: certbot shall not decide again that nothing is due.
    argv += ["--force-renewal", "--renew-with-new-domains"]
    if certificate["challenge"] == "dns":
        argv += ["--manual", "--preferred-challenges", "dns"]
        argv += ["--manual-auth-hook", params["hooks"] + "/auth", "--manual-cleanup-hook", params["hooks"] + "/cleanup"]
    else:
        argv += ["--webroot", "--webroot-path", params["webroot"]]
    for name in certificate["names"]:
        argv += ["--domain", name]
    return argv


def certbot_words(output):
    """The part of certbot's output that says what went wrong."""
    noise = ("Saving debug log", "Ask for help", "See the logfile", "Some challenges have failed", "Requesting a", "Account ")
    lines = [line.strip() for line in output.splitlines()]
    lines = [line for line in lines if line and not line.startswith(noise) and not set(line) <= {"-", " "}]
    return " ".join(lines)[:1200] or "it said nothing"


# --- the challenge path ----------------------------------------------------------------------------------


def addresses_of(name):
    try:
        found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return []
    return sorted({entry[4][0] for entry in found})


def is_local(address):
    """Whether this host owns the address: only then can a socket be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def fetch(address, name, path, timeout=10):
    """One plain HTTP request to an address under a name: (status, server, location, first bytes of the body)."""
    connection = http.client.HTTPConnection(address, 80, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": name, "Connection": "close"})
        answer = connection.getresponse()
        body = answer.read(ANSWER_BYTES).decode("utf-8", "replace")
        return answer.status, answer.getheader("Server"), answer.getheader("Location"), body
    finally:
        connection.close()


def judge(name, address, local, outcome, token):
    """A sentence about one address of a name, or None if the challenge would be answered there."""
    whose = "an address of this host" if local else "which is not an address of this host"
    elsewhere = "" if local else (
        " If the address is another machine's, correct the DNS record and wait for its old value to expire;"
        " if it is forwarded to this host, the forwarding does not work."
    )
    if isinstance(outcome, Exception):
        kind = "did not answer" if isinstance(outcome, (socket.timeout, TimeoutError)) else "failed (%s)" % outcome
        if isinstance(outcome, ConnectionRefusedError):
            kind = "was refused"
        return (
            "%s resolves to %s, %s, but a connection to its port 80 %s: open port 80 in ufw and in the provider's firewall.%s"
            % (name, address, whose, kind, elsewhere)
        )
    status, server, location, body = outcome
    if status == 200 and body.strip() == token:
        return None
    if location:
        said = "redirects to %s" % location
    else:
        said = "answers with status %s%s" % (status, " and other content" if status == 200 else "")
    return (
        "%s resolves to %s, %s, but port 80 there %s (server: %s) instead of the challenge that this host put in place:"
        " another web server or another host answers for this name.%s"
        % (name, address, whose, said, server or "unnamed", elsewhere)
    )


def check_path(names, webroot):
    """Fetch a token through each public name, as the ACME server will. Returns one sentence for each obstacle."""
    token = secrets.token_urlsafe(24)
    directory = webroot + CHALLENGE
    os.makedirs(directory, mode=0o755, exist_ok=True)
    path = directory + "botops-" + secrets.token_hex(8)
    with open(path, "w") as stream:
        stream.write(token)
    os.chmod(path, 0o644)
    try:
        sentences = [check_name(name, CHALLENGE + os.path.basename(path), token) for name in names]
    finally:
        os.unlink(path)
    return [sentence for sentence in sentences if sentence]


def check_name(name, path, token):
    addresses = addresses_of(name)
    if not addresses:
        return (
            "%s does not resolve: add an A or AAAA record that points to this host's public address, and wait until"
            " `getent hosts %s` shows it." % (name, name)
        )
    for address in addresses:
        try:
            outcome = fetch(address, name, path)
        except (OSError, http.client.HTTPException) as error:
            outcome = error
        sentence = judge(name, address, is_local(address), outcome, token)
        if sentence:
            return sentence
    return None


# --- links -----------------------------------------------------------------------------------------------


def point(link, target):
    """Make `link` point to `target` in one step, so that nginx never finds it missing."""
    if os.path.islink(link) and os.readlink(link) == target:
        return False
    temporary = "%s.%d" % (link, os.getpid())
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.replace(temporary, link)
    return True


def replace_text(path, text):
    """The file with another content, with the mode that it had."""
    temporary = path + ".new"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(temporary, os.stat(path).st_mode & 0o7777)
    os.replace(temporary, path)


def remove(path):
    if os.path.islink(path) or os.path.isfile(path):
        os.unlink(path)
    else:
        shutil.rmtree(path)
