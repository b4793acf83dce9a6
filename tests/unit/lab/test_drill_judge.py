"""What the restore drill calls whole, and what it does not."""

import copy
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "lab"))

import drill  # noqa: E402


def order(seq):
    body = {"market": "rain", "tick": seq, "side": "buy", "price": "0.5", "size": "1", "mode": "paper"}
    return {"seq": seq, "client_order_id": f"paper.rain.{seq}", "wall_time": 100.0 + seq, "order": {"client_order_id": f"paper.rain.{seq}", **body}}


def row(seq, created_at=None):
    return {**order(seq)["order"], "exchange_seq": seq, "state": "accepted", "created_at": created_at or 99.9 + seq}


# Ten orders, the backup began after the sixth and took the seventh along; lost after the tenth; two more afterwards.
RECORD = [*(order(seq) for seq in range(1, 11)), {**order(11), "wall_time": 200.0}, {**order(12), "wall_time": 201.0}]
ROWS = [*(row(seq) for seq in range(1, 8)), *(row(seq, 199.0 + seq) for seq in range(8, 13))]


def judged(record=RECORD, rows=ROWS, integrity="ok", back_at=200.0, limit=900):
    return drill.judge(record, {"rows": rows, "integrity": integrity}, 6, 111.0, back_at, limit)


def test_every_row_up_to_the_backup_is_whole():
    found = judged()
    assert found["verdict"] == "ok" and found["problems"] == []
    assert found["rows_expected"] == found["rows_restored"] == 7 and found["rows_after_the_backup"] == 3
    assert found["rto_s"] == 89.0 and found["rpo_s"] == pytest.approx(4.1)


def without(seq):
    return [each for each in ROWS if each["exchange_seq"] != seq]


def with_change(seq, **change):
    rows = copy.deepcopy(ROWS)
    rows[seq - 1].update(change)
    return rows


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"rows": without(3)}, "1 of 7 orders did not come back or are not the exchange's, paper.rain.3"),
        ({"rows": ROWS[:2]}, "4 of 6 orders did not come back"),
        ({"rows": []}, "6 of 6 orders did not come back"),
        ({"rows": with_change(2, price="0.6")}, "paper.rain.2 among them"),
        ({"rows": with_change(2, exchange_seq=9)}, "paper.rain.2 among them"),
        # Written anew after the rebuild, and so not from the repository.
        ({"rows": with_change(2, created_at=205.0)}, "paper.rain.2 among them"),
        ({"rows": [*ROWS, row(5) | {"client_order_id": "paper.rain.invented"}]}, "1 restored orders are unknown to the exchange"),
        ({"integrity": "row 3 missing from index"}, "integrity_check says row 3"),
        ({"back_at": 0}, "no order arrived after the rebuild"),
        ({"limit": 60}, "the way back took 89 s, and 60 s is the limit"),
        ({"record": [], "rows": []}, "no order to compare with"),
        ({"record": [*RECORD[:-1], {**RECORD[-1], "order": {**RECORD[-1]["order"], "mode": "live"}}]}, "another mode than paper"),
    ],
)
def test_what_is_missing_or_different_fails(arguments, expected):
    found = judged(**arguments)
    assert found["verdict"] == "failed" and any(expected in problem for problem in found["problems"]), found["problems"]
