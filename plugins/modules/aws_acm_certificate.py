#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_acm_certificate
short_description: Request a certificate from ACM and prove it by DNS
version_added: 1.0.0
description:
  - Requests a public certificate, publishes the records that prove it in Route 53, or returns them, and waits until it is issued.
    M(community.aws.acm_certificate) can only import and delete.
  - A certificate is known by its names and its kind of key, which cannot be changed. Other names mean another certificate; the old one
    stays until it is removed with the names that it has.
  - Records that went missing are published again, because ACM renews a certificate only while they are there. They stay when the
    certificate is removed, since they belong to the account and the name.
options:
  domain_name:
    description: The certificate's first name.
    type: str
    required: true
  alternative_names:
    description: Further names; wildcards such as V(*.example.com) are possible.
    type: list
    elements: str
  key_algorithm:
    description: Kind of key.
    type: str
    choices: [RSA_2048, EC_prime256v1, EC_secp384r1]
    default: RSA_2048
  validation:
    description:
      - V(route53) publishes the records in a hosted zone of the account.
      - V(records) only returns them, for DNS that is kept elsewhere. Use it with O(wait=false), or have them published within O(wait_timeout).
    type: str
    choices: [route53, records]
    default: route53
  hosted_zone_id:
    description: Zone for the records. The public zone with the longest name that fits, when left out.
    type: str
  certificate_arn:
    description: Which one is meant, if several certificates have exactly these names.
    type: str
extends_documentation_fragment:
  - botops.fleet.aws
  - botops.fleet.aws.state
  - botops.fleet.aws.tags
"""

EXAMPLES = r"""
- name: A certificate for the load balancer
  botops.fleet.aws_acm_certificate:
    region: us-east-1
    domain_name: app.example.com
    alternative_names: [api.example.com]
    tags: {env: prod}
  register: certificate

- name: The records for DNS that somebody else keeps
  botops.fleet.aws_acm_certificate:
    region: us-east-1
    domain_name: app.example.org
    validation: records
    wait: false
  register: pending
"""

RETURN = r"""
acm_certificate:
  description: The certificate as it is afterwards, or as it was before it was removed. Empty when there is none.
  returned: always
  type: dict
  sample:
    arn: arn:aws:acm:us-east-1:123456789012:certificate/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0
    domain_name: app.example.com
    names: [api.example.com, app.example.com]
    status: ISSUED
    validation_records:
      - {name: _a79865eb4cd1a6ab990a45779b4e0b96.app.example.com., type: CNAME, value: _424c7224e9b0146f9a8808af955727d0.acm-validations.aws.}
actions:
  description: The steps that were taken, in order.
  returned: always
  type: list
  elements: str
"""

from ansible_collections.botops.fleet.plugins.module_utils._aws.acm_certificate import KEYS, Certificate
from ansible_collections.botops.fleet.plugins.module_utils._aws.module import run, spec


def main():
    run(
        Certificate,
        spec(
            domain_name={"type": "str", "required": True},
            alternative_names={"type": "list", "elements": "str"},
            key_algorithm={"type": "str", "choices": KEYS, "default": "RSA_2048", "no_log": False},
            validation={"type": "str", "choices": ["route53", "records"], "default": "route53"},
            hosted_zone_id={"type": "str"},
            certificate_arn={"type": "str"},
        ),
    )


if __name__ == "__main__":
    main()
