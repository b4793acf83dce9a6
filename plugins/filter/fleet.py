# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filters of the role fleet: thin doors to plugin_utils/_fleet.py and _fleet_aws.py."""

from __future__ import annotations

import json
import pathlib

from ansible_collections.botops.fleet.plugins.plugin_utils import _fleet, _fleet_aws, _fleet_aws_dns, _fleet_aws_watch

FILES = pathlib.Path(__file__).parents[2] / "roles/fleet/files"


def aws_plan(values, account, partition):
    """With the files of the rights that are declared."""
    texts = {right: (FILES / "iam" / f"{right}.json").read_text(encoding="utf-8") for right in values["aws"]["rights"]}
    return _fleet_aws.plan(values, account, partition, texts)


def aws_costs(plan, found, prices):
    """By the collection's dated table."""
    return _fleet_aws.costs(plan, found, json.loads((FILES / "aws_prices.json").read_text(encoding="utf-8")), prices)


class FilterModule:
    def filters(self):
        return {
            "fleet_plan": _fleet.digitalocean,
            "fleet_host_keys": _fleet.host_keys,
            "fleet_alias": _fleet.alias,
            "fleet_known": _fleet.known,
            "fleet_user_data": _fleet.user_data,
            "fleet_values": _fleet.values_of,
            "fleet_costs": _fleet.costs,
            "fleet_notes": _fleet.notes,
            "fleet_over_budget": _fleet.over_budget,
            "fleet_changes": _fleet.changes,
            "fleet_table": _fleet.table,
            "fleet_document": _fleet.document,
            "fleet_aws_plan": aws_plan,
            "fleet_aws_view": _fleet_aws.view,
            "fleet_aws_costs": aws_costs,
            "fleet_aws_doomed": _fleet_aws.doomed,
            "fleet_aws_owner": _fleet_aws.owner_of,
            "fleet_aws_wanted": _fleet_aws.wanted,
            "fleet_aws_records": _fleet_aws_dns.to_write,
            "fleet_aws_log_groups": _fleet_aws_watch.log_group_names,
        }
