#!/bin/bash
# Builds a signed apt repository whose packages have the names of Docker's and the content of Debian's.
# usage: build_repository.sh DIRECTORY_OF_DEBS REPOSITORY
set -euo pipefail
from=$1 repository=$2
root=$repository/linux/debian
pool=$root/pool
mkdir -p "$pool" "$root/dists/bookworm/stable/binary-amd64"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
engine=5:26.1.5-1~debian.12~bookworm

rename() { # new name, version, depends, conflicts, old name
    dpkg-deb -R "$from/$5"_*.deb "$work/$1"
    rm -f "$work/$1/DEBIAN/md5sums"
    cat > "$work/$1/DEBIAN/control" <<-CONTROL
	Package: $1
	Version: $2
	Architecture: amd64
	Maintainer: Stand-in <nobody@example.com>
	Depends: $3
	Conflicts: $4
	Replaces: $4
	Description: stands in for Docker's package of this name
	CONTROL
    dpkg-deb -Znone -b "$work/$1" "$pool" > /dev/null
}

rename docker-ce "$engine" "containerd.io, docker-ce-cli, iptables, tini, adduser, libsystemd0" docker.io docker.io
rename docker-ce-cli "$engine" "libc6 (>= 2.34)" "docker.io, docker-cli" docker-cli
# Docker's containerd.io contains runc; Debian 13's runc wants a newer libc, so Debian 12's is used.
rename containerd.io 1.7.24-1 "runc, libc6 (>= 2.34)" containerd containerd
rename docker-compose-plugin 2.26.1-1~debian.12~bookworm docker-ce-cli docker-compose docker-compose
rename docker-buildx-plugin 0.13.1-1~debian.12~bookworm docker-ce-cli docker-buildx docker-buildx

cd "$root"
apt-ftparchive packages pool > dists/bookworm/stable/binary-amd64/Packages
apt-ftparchive -o APT::FTPArchive::Release::Suite=bookworm -o APT::FTPArchive::Release::Codename=bookworm \
    -o APT::FTPArchive::Release::Components=stable -o APT::FTPArchive::Release::Architectures=amd64 \
    release dists/bookworm > "$work/Release"
mv "$work/Release" dists/bookworm/Release
export GNUPGHOME=$work/gnupg
install -d -m 0700 "$GNUPGHOME"
gpg --batch --quiet --passphrase '' --quick-generate-key 'Stand-in repository <nobody@example.com>' ed25519 sign never
gpg --batch --quiet --clearsign -o dists/bookworm/InRelease dists/bookworm/Release
gpg --batch --quiet --armor --export > "$repository/stand-in.asc"
