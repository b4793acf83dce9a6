# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring aws_prices.json beside this file up to date from the vendor's Price List API.

    python roles/fleet/files/aws_prices.py [--region REGION ...] [--type TYPE ...] [--table FILE]

Asks for every region and type that the table has and that is named. Needs the right pricing:GetProducts, which costs nothing.
`alarm`, `detailed_monitoring` and `public_ipv4` are not asked for: they are the same in most regions and stay as they are.
"""

from __future__ import annotations

import argparse
import datetime
import json
import pathlib
import sys

TABLE = pathlib.Path(__file__).with_suffix(".json")
# The API is in few regions and tells the prices of all.
PRICING_REGION = "us-east-1"
LINUX = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
GP3 = {"productFamily": "Storage", "volumeApiName": "gp3"}


def on_demand(products: list[str]) -> float | None:
    """Dollars a unit of the one product that is sold on demand; None where there is none.

    Raises ValueError when several prices answer: the filter would be too wide, and none of them is known to be meant.
    """
    found = set()
    for text in products:
        terms = json.loads(text).get("terms", {}).get("OnDemand", {})
        for term in terms.values():
            for dimension in term["priceDimensions"].values():
                price = float(dimension["pricePerUnit"].get("USD", 0))
                found |= {price} if price else set()
    if len(found) > 1:
        raise ValueError(f"{len(found)} prices answer: {', '.join(format(price, 'g') for price in sorted(found))}")
    return found.pop() if found else None


def ask(client, region: str, **attributes: str) -> float | None:
    """The price of what has these attributes in that region."""
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in {"regionCode": region, **attributes}.items()]
    pages = client.get_paginator("get_products").paginate(ServiceCode="AmazonEC2", Filters=filters)
    return on_demand([text for page in pages for text in page["PriceList"]])


def refreshed(table: dict, client, regions: list[str], types: list[str], today: str) -> tuple[dict, list[str]]:
    """(the table anew, sentences about what nobody tells a price of). What is not sold in a region is left out of it."""
    known = sorted({name for about in table["regions"].values() for name in about["types"]} | set(types))
    sample = next(iter(table["regions"].values()))
    said, found = [], {}
    for region in sorted({*table["regions"], *regions}):
        about = dict(table["regions"].get(region) or {key: sample[key] for key in ("alarm", "detailed_monitoring", "public_ipv4")})
        prices = {name: ask(client, region, instanceType=name, **LINUX) for name in known}
        said += [f"{name} is not sold in {region}" for name in known if prices[name] is None and (name in types or name in about.get("types", {}))]
        about["types"] = {name: price for name, price in prices.items() if price is not None}
        volume = ask(client, region, **GP3)
        if volume is None:
            said.append(f"no price of gp3 in {region}: it stays as it was")
        else:
            about["gp3"] = volume
        found[region] = about
    return {**table, "date": today, "checked": not any(line.endswith("it stays as it was") for line in said), "regions": found}, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--region", action="append", default=[], help="one more region")
    parser.add_argument("--type", action="append", default=[], help="one more type, such as c7i.large")
    parser.add_argument("--table", type=pathlib.Path, default=TABLE)
    arguments = parser.parse_args()
    import boto3

    before = json.loads(arguments.table.read_text(encoding="utf-8"))
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    after, said = refreshed(before, boto3.client("pricing", region_name=PRICING_REGION), arguments.region, arguments.type, today)
    arguments.table.write_text(json.dumps(after, indent=2) + "\n", encoding="utf-8")
    for sentence in said:
        print(sentence, file=sys.stderr)
    print(f"{arguments.table}: {len(after['regions'])} regions, prices of {after['date']} (before: {before['date']})")


if __name__ == "__main__":
    main()
