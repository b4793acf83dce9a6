# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all aws_* modules say about the life cycle, tags and their attributes."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  region:
    description:
      - Region of the resource.
      - Taken from the environment variables E(AWS_REGION) or E(AWS_DEFAULT_REGION), or the profile, when left out.
    type: str
    aliases: [aws_region]
  profile:
    description:
      - Profile of the AWS configuration files. Excludes O(access_key), O(secret_key) and O(session_token).
      - Taken from the environment variables E(AWS_PROFILE) or E(AWS_DEFAULT_PROFILE) when left out.
    type: str
    aliases: [aws_profile]
  access_key:
    description:
      - Id of an access key. A profile or a role of the machine is better.
      - Taken from the environment variables E(AWS_ACCESS_KEY_ID) or E(AWS_ACCESS_KEY) when left out.
    type: str
    aliases: [aws_access_key_id, aws_access_key]
  secret_key:
    description:
      - The access key's secret.
      - Taken from the environment variables E(AWS_SECRET_ACCESS_KEY) or E(AWS_SECRET_KEY) when left out.
    type: str
    aliases: [aws_secret_access_key, aws_secret_key]
  session_token:
    description:
      - Token that belongs to a temporary access key.
      - Taken from the environment variable E(AWS_SESSION_TOKEN) when left out.
    type: str
    aliases: [aws_session_token]
  endpoint_url:
    description:
      - Where the API is. Change it for tests only.
      - Taken from the environment variables E(AWS_ENDPOINT_URL) or E(AWS_URL) when left out.
    type: str
    aliases: [aws_endpoint_url]
  aws_ca_bundle:
    description:
      - File with the authorities to trust.
      - Taken from the environment variable E(AWS_CA_BUNDLE) when left out.
    type: path
  validate_certs:
    description: Check the API's certificate.
    type: bool
    default: true
requirements:
  - the collection amazon.aws, version 10 or later
  - boto3 >= 1.34
notes:
  - Runs on the control node; use C(delegate_to=localhost) or a play for C(localhost).
author:
  - botops.fleet contributors (@botops)
"""

    STATE = r"""
options:
  state:
    description:
      - V(present) creates what is missing and corrects what differs.
      - V(absent) removes it. Removing what is not there is no change.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description: Wait until the resource is usable, or gone.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait before giving up. What was begun goes on; running the task again continues to wait for it.
    type: int
    default: 600
attributes:
  check_mode:
    support: full
    description:
      - Tells what would change, and refuses what a run would refuse. Sends reading requests only.
      - What would be created is returned with V((ECS service core/bot, not there yet\)) where a value is not known before.
  diff_mode:
    support: full
    description: Shows the managed fields before and after. Secrets are never shown.
  idempotent:
    support: full
    description: A second run finds nothing to do and writes nothing.
notes:
  - What creates something is sent once; after a lost answer the thing is looked for by its name before anything else is sent. When
    looking gets no answer either, the task fails and says what may exist.
"""

    INFO = r"""
attributes:
  check_mode:
    support: full
    description: Only reads.
  diff_mode:
    support: none
    description: Changes nothing.
  idempotent:
    support: full
    description: Changes nothing.
"""

    TAGS = r"""
options:
  tags:
    description: Tags by their key. They are left alone when this is left out.
    type: dict
    aliases: [resource_tags]
  purge_tags:
    description: Remove tags that are not named. Those of AWS itself stay.
    type: bool
    default: true
"""
