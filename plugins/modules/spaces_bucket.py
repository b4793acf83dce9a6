#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: spaces_bucket
short_description: Keep a bucket of DigitalOcean's Spaces, with versions and a lifecycle
version_added: 1.0.0
description:
  - Creates a private bucket, switches its versions on, and gives it one lifecycle rule for all objects. Other rules of the bucket stay.
  - A bucket of Spaces can bear no tag. The rule's ID says whose it is, so a bucket with objects and without that rule is neither changed nor removed.
  - Speaks S3 with a key of Spaces, which is another than the API's token.
options:
  name:
    description: Name of the bucket, 3 to 63 lower-case letters, digits and hyphens. No other bucket may have it.
    type: str
    required: true
  region:
    description: Region of the bucket, such as V(nyc3). Not every region has Spaces.
    type: str
    required: true
  owner:
    description: ID of the lifecycle rule, by which the bucket is known as one's own.
    type: str
    default: botops
  versioning:
    description: Whether overwritten and deleted objects are kept.
    type: bool
    default: true
  expire_days:
    description: After how many days objects are deleted. 0 means never.
    type: int
    default: 0
  noncurrent_days:
    description: Days for which overwritten and deleted objects are kept, at least 1.
    type: int
    default: 90
  abort_days:
    description: After how many days an upload in parts that was never completed is dropped, at least 1.
    type: int
    default: 7
  with_data:
    description: With O(state=absent), whether the bucket goes with every version of all objects. Otherwise one that is not empty is refused.
    type: bool
    default: false
  access_key_id:
    description: ID of the key. Taken from the environment variable E(SPACES_ACCESS_KEY_ID) when left out.
    type: str
  secret_access_key:
    description: Its secret. Taken from the environment variable E(SPACES_SECRET_ACCESS_KEY) when left out.
    type: str
  endpoint:
    description:
      - Where the S3 API is. Change it for tests only; plain C(http) is refused for public addresses.
      - Taken from the environment variable E(SPACES_ENDPOINT_URL), else it is V(https://REGION.digitaloceanspaces.com).
    type: str
  state:
    description:
      - V(present) creates what is missing and corrects what differs.
      - V(absent) removes it. Removing what is not there is no change.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description: Whether it is looked at once more after a change.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait before giving up.
    type: int
    default: 600
attributes:
  check_mode:
    support: full
    description: Tells what would change, and refuses what a run would refuse. Sends reading requests only.
  diff_mode:
    support: full
    description: Shows the managed fields before and after.
  idempotent:
    support: full
    description: A second run changes nothing and sends reading requests only.
requirements:
  - boto3
notes:
  - Runs on the control node; use C(delegate_to=localhost) or a play for C(localhost).
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Backups, whose old versions stay for a month
  botops.fleet.spaces_bucket:
    name: example-prod-backups
    region: nyc3
    owner: fleet:prod
    noncurrent_days: 30
"""

RETURN = r"""
bucket:
  description: The bucket as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    name: example-prod-backups
    region: nyc3
    versioning: true
    lifecycle: {expire_days: 0, noncurrent_days: 30, abort_days: 7}
    private: true
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._digitalocean.spaces_bucket import SPEC, run


def main():
    run(SPEC)


if __name__ == "__main__":
    main()
