# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates requested from ACM and proved by DNS."""

from __future__ import annotations

import hashlib
import re

from ansible_collections.botops.fleet.plugins.module_utils._aws.module import AwsAdapter, tag_dict, tag_list
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure, Gone, wait_for

KEYS = ["RSA_2048", "EC_prime256v1", "EC_secp384r1"]
# The listing shows RSA only unless it is asked for all.
ALL_KEYS = ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]
ALIVE = ("PENDING_VALIDATION", "ISSUED")
NAME = re.compile(r"^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$")


def records_of(raw):
    """What DNS has to answer: [{name, type, value}], without repetitions (a name and its wildcard share one)."""
    found = {}
    for about in raw.get("DomainValidationOptions") or []:
        record = about.get("ResourceRecord")
        if record:
            found[record["Name"]] = {"name": record["Name"], "type": record["Type"], "value": record["Value"]}
    return [found[name] for name in sorted(found)]


def zone_for(name, zones):
    """The public zone that a name belongs to: the longest one that it ends in. [] if there is none, several if it is ambiguous."""
    fits = [zone for zone in zones if ("." + name.rstrip(".") + ".").endswith("." + zone["Name"]) and not zone["Config"]["PrivateZone"]]
    longest = max((len(zone["Name"]) for zone in fits), default=0)
    return [zone for zone in fits if len(zone["Name"]) == longest]


class Certificate(AwsAdapter):
    kind = "acm_certificate"
    service = "acm"
    identities = ("certificate_arn",)
    _proving = False

    @property
    def title(self):
        return "certificate for %s" % self.params["domain_name"]

    @property
    def names(self):
        return sorted({self.params["domain_name"], *(self.params["alternative_names"] or [])})

    def validate(self):
        for name in self.names:
            if not NAME.match(name) or len(name) > 253:
                raise Failure("%s is not a domain name that a certificate can carry; write it in lower case, without a dot at its end." % name)

    def find(self):
        listed = self.api.pages(
            "list_certificates", "CertificateSummaryList", CertificateStatuses=list(ALIVE), Includes={"keyTypes": ALL_KEYS}
        )
        found = []
        for summary in listed:
            if summary["DomainName"] != self.params["domain_name"]:
                continue
            if self.params["certificate_arn"] and summary["CertificateArn"] != self.params["certificate_arn"]:
                continue
            raw = self.read(summary["CertificateArn"])
            if raw is None or raw.get("Type") != "AMAZON_ISSUED" or raw.get("Status") not in ALIVE:
                continue
            # Names and key cannot be changed: another set of them is another certificate.
            same_key = raw.get("KeyAlgorithm", "RSA_2048").replace("-", "_") == self.params["key_algorithm"]
            if sorted(raw["SubjectAlternativeNames"]) == self.names and same_key:
                found.append(raw)
        return found

    def read(self, arn):
        try:
            raw = self.api.read("describe_certificate", CertificateArn=arn)["Certificate"]
            raw["tags"] = tag_dict(self.api.read("list_tags_for_certificate", CertificateArn=arn).get("Tags"))
        except Gone:
            return None
        return raw

    def describe(self, raw):
        return "%s, %s" % (raw["CertificateArn"], raw["Status"])

    def tags_of(self, raw):
        return raw.get("tags") or {}

    def current(self, raw):
        found = {"names": sorted(raw["SubjectAlternativeNames"]), "key_algorithm": raw.get("KeyAlgorithm", "RSA_2048").replace("-", "_")}
        if self.params["validation"] == "route53" and self.params["state"] == "present":
            found["dns_records"] = [record for record in records_of(raw) if self.is_in_dns(record)]
        return {**found, "tags": self.current_tags(raw)}

    def wanted(self, raw):
        found = {"names": self.names, "key_algorithm": self.params["key_algorithm"], "tags": self.wanted_tags(raw)}
        if self.params["validation"] == "route53" and raw:
            # They have to stay after the certificate was issued, or it is not renewed.
            found["dns_records"] = records_of(raw)
        return found

    # --- Route 53

    def zone_id(self, name):
        if self.params["hosted_zone_id"]:
            return self.params["hosted_zone_id"]
        if not hasattr(self, "_zones"):
            self._zones = self.client.api("route53").pages("list_hosted_zones", "HostedZones")
        fits = zone_for(name, self._zones)
        if len(fits) == 1:
            return fits[0]["Id"].rpartition("/")[2]
        if fits:
            listed = ", ".join(zone["Id"].rpartition("/")[2] for zone in fits)
            raise Failure("hosted_zone_id: several public zones fit %s (%s); name the one you mean." % (name, listed))
        raise Failure(
            "No public hosted zone of this account fits %s. Give hosted_zone_id, or set validation: records, wait: false, and publish the "
            "records that are returned." % name
        )

    def is_in_dns(self, record):
        said = self.client.api("route53").read(
            "list_resource_record_sets", HostedZoneId=self.zone_id(record["name"]), StartRecordName=record["name"],
            StartRecordType=record["type"], MaxItems="1",
        )
        for found in said["ResourceRecordSets"]:
            if found["Name"].rstrip(".") == record["name"].rstrip(".") and found["Type"] == record["type"]:
                return [one["Value"] for one in found.get("ResourceRecords") or []] == [record["value"]]
        return False

    def publish(self, records):
        for record in records:
            change = {"Name": record["name"], "Type": record["type"], "TTL": 300, "ResourceRecords": [{"Value": record["value"]}]}
            self.client.api("route53").write(
                "change_resource_record_sets", HostedZoneId=self.zone_id(record["name"]),
                ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": change}]},
            )
            self.did("published %s" % record["name"])

    def publish_missing(self, raw):
        if self.params["validation"] == "route53":
            self.publish([record for record in records_of(raw) if not self.is_in_dns(record)])

    # --- the life cycle

    def check_creation(self, wanted):
        if self.params["certificate_arn"]:
            raise Failure("certificate_arn: %s is not a certificate for exactly these names." % self.params["certificate_arn"])
        if self.params["validation"] == "route53":
            for name in wanted["names"]:
                self.zone_id(name[2:] if name.startswith("*.") else name)

    def create(self, wanted):
        others = [name for name in wanted["names"] if name != self.params["domain_name"]]
        request = {"DomainName": self.params["domain_name"], "ValidationMethod": "DNS", "KeyAlgorithm": wanted["key_algorithm"]}
        # The vendor answers a repetition within an hour with the same certificate.
        token = hashlib.sha256("|".join(wanted["names"] + [wanted["key_algorithm"]]).encode()).hexdigest()[:32]
        if others:
            request["SubjectAlternativeNames"] = others
        if self.params["tags"]:
            request["Tags"] = tag_list({str(k): str(v) for k, v in self.params["tags"].items()})
        arn = self.api.create("request_certificate", IdempotencyToken=token, **request)["CertificateArn"]

        def probe():
            raw = self.read(arn)
            ready = raw and len(raw.get("DomainValidationOptions") or []) and all(
                "ResourceRecord" in about for about in raw["DomainValidationOptions"]
            )
            return (raw, "") if ready else (None, "no records yet")

        raw = wait_for(probe, "the records that prove %s" % self.params["domain_name"], 120, self.log)
        self.publish_missing(raw)
        return raw

    def update(self, raw, changes, wanted):
        if "dns_records" in changes:
            have, want = changes["dns_records"]
            self.publish([record for record in want if record not in have])
        if "tags" in changes:
            arn = raw["CertificateArn"]
            self.update_tags(
                raw,
                lambda tags: self.api.write("add_tags_to_certificate", CertificateArn=arn, Tags=tag_list(tags)),
                lambda keys: self.api.write(
                    "remove_tags_from_certificate", CertificateArn=arn, Tags=[{"Key": key, "Value": self.tags_of(raw)[key]} for key in keys]
                ),
            )
            self.did("changed tags")
        return self.read(raw["CertificateArn"])

    def settled(self, raw):
        raw = self.read(raw["CertificateArn"])
        if raw is None:
            raise Failure("%s went away while it was waited for." % self.title)
        if raw["Status"] == "ISSUED":
            return raw, "issued"
        if not self._proving:
            # One that was found after a lost answer has nothing in DNS yet; waiting for it would be in vain.
            self._proving = True
            self.publish_missing(raw)
        if raw["Status"] != "PENDING_VALIDATION":
            raise Failure("%s: %s %s" % (self.title, raw["Status"], raw.get("FailureReason") or ""))
        missing = [about["DomainName"] for about in raw["DomainValidationOptions"] if about.get("ValidationStatus") != "SUCCESS"]
        told = "; ".join("%(name)s %(type)s %(value)s" % record for record in records_of(raw))
        return None, "not proved yet: %s%s" % (", ".join(missing), "; publish " + told if self.params["validation"] == "records" else "")

    def check_deletion(self, raw):
        if raw.get("InUseBy"):
            raise Failure("%s is in use and was not deleted: %s." % (self.title, ", ".join(raw["InUseBy"])))

    def delete(self, raw):
        # The records stay: they depend on account and name only, so another certificate may stand on the same.
        self.api.write("delete_certificate", CertificateArn=raw["CertificateArn"])

    def planned(self, wanted):
        return {
            **super().planned(wanted), "domain_name": self.params["domain_name"], "in_use_by": [], "validation_records": [], "not_after": None,
        }

    def shape(self, raw):
        expires = raw.get("NotAfter")
        return {
            "arn": raw["CertificateArn"], "domain_name": raw["DomainName"], "names": sorted(raw["SubjectAlternativeNames"]),
            "key_algorithm": raw.get("KeyAlgorithm", "RSA_2048").replace("-", "_"), "status": raw["Status"],
            "in_use_by": raw.get("InUseBy") or [], "validation_records": records_of(raw), "tags": self.tags_of(raw),
            "not_after": expires.strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(expires, "strftime") else None,
        }
