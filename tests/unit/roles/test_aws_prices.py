"""roles/fleet/files/aws_prices.py: what it makes of the Price List API's answers, which no test asks for."""

import importlib.util
import json
import pathlib

import pytest

FILES = pathlib.Path(__file__).resolve().parents[3] / "roles/fleet/files"


@pytest.fixture(scope="module")
def prices():
    spec = importlib.util.spec_from_file_location("aws_prices", FILES / "aws_prices.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def product(*dollars):
    dimensions = {str(number): {"pricePerUnit": {"USD": text}} for number, text in enumerate(dollars)}
    return json.dumps({"terms": {"OnDemand": {"term": {"priceDimensions": dimensions}}}})


class Client:
    """Answers like the API: pages of products, each a JSON text."""

    def __init__(self, sold):
        self.sold, self.asked = sold, []

    def get_paginator(self, operation):
        assert operation == "get_products"
        return self

    def paginate(self, ServiceCode, Filters):
        about = {one["Field"]: one["Value"] for one in Filters}
        assert ServiceCode == "AmazonEC2" and {one["Type"] for one in Filters} == {"TERM_MATCH"}
        self.asked.append(about)
        what = about.get("instanceType") or about["volumeApiName"]
        return [{"PriceList": self.sold.get((about["regionCode"], what), [])}, {"PriceList": []}]


def test_one_price_is_one_price(prices):
    assert prices.on_demand([product("0.0208000000")]) == 0.0208
    assert prices.on_demand([product("0", "0.08"), product("0.08")]) == 0.08
    assert prices.on_demand([]) is None and prices.on_demand([json.dumps({"terms": {}})]) is None
    with pytest.raises(ValueError, match="2 prices answer: 0.02, 0.03"):
        prices.on_demand([product("0.02"), product("0.03")])


def test_the_table_is_refreshed_and_what_is_not_sold_is_told(prices):
    before = {"date": "2025-01-01", "hours": 730, "regions": {
        "us-east-1": {"alarm": 0.1, "detailed_monitoring": 2.1, "gp3": 0.08, "public_ipv4": 0.005, "types": {"t3.small": 1, "c5.large": 1}},
    }}  # fmt: skip
    client = Client({
        ("us-east-1", "t3.small"): [product("0.03")], ("us-east-1", "gp3"): [product("0.09")], ("sa-east-1", "t3.small"): [product("0.05")],
        ("sa-east-1", "c7i.large"): [product("0.2")],
    })  # fmt: skip
    after, said = prices.refreshed(before, client, ["sa-east-1"], ["c7i.large"], "2026-11-28")
    assert after["date"] == "2026-11-28" and after["hours"] == 730 and after["checked"] is False, "one was not found"
    assert after["regions"]["us-east-1"] == {"alarm": 0.1, "detailed_monitoring": 2.1, "gp3": 0.09, "public_ipv4": 0.005, "types": {"t3.small": 0.03}}
    assert after["regions"]["sa-east-1"] == {"alarm": 0.1, "detailed_monitoring": 2.1, "public_ipv4": 0.005, "types": {"t3.small": 0.05, "c7i.large": 0.2}}
    assert said == ["no price of gp3 in sa-east-1: it stays as it was", "c5.large is not sold in us-east-1", "c7i.large is not sold in us-east-1"]
    assert all(one.get("operatingSystem") == "Linux" and one["tenancy"] == "Shared" for one in client.asked if "instanceType" in one)


def test_the_table_that_is_shipped_is_whole():
    table = json.loads((FILES / "aws_prices.json").read_text())
    assert len(table["date"]) == 10 and table["hours"] == 730
    for about in table["regions"].values():
        assert {"alarm", "detailed_monitoring", "gp3", "public_ipv4", "types"} == set(about)
        assert {"t3.small", "t3.medium", "c5.large", "c5n.large"} <= set(about["types"]) and min(about["types"].values()) > 0
