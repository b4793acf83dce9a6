#!/bin/sh
# A real registry on the host's own loopback address, with a certificate that the engine knows, and one account.
set -eu
cd /etc/docker/registry
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=registry.lab -addext subjectAltName=DNS:registry.lab -keyout key.pem -out cert.pem 2>/dev/null
htpasswd -Bbn me canary-registry > accounts
chgrp docker-registry key.pem accounts
chmod 0640 key.pem accounts
cat > config.yml <<'END'
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
auth: {htpasswd: {realm: lab, path: /etc/docker/registry/accounts}}
http:
  addr: 127.0.0.1:5443
  tls: {certificate: /etc/docker/registry/cert.pem, key: /etc/docker/registry/key.pem}
END
echo "127.0.0.1 registry.lab" >> /etc/hosts
systemctl restart docker-registry
mkdir -p /etc/docker/certs.d/registry.lab:5443
cp cert.pem /etc/docker/certs.d/registry.lab:5443/ca.crt
