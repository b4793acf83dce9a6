"""One fault as a picture: which host's orders the exchange accepted and refused, second by second, and the gap. SVG, without scripts."""

from __future__ import annotations

import html

from pair import longest_gap

WIDTH, LEFT, TOP, LANE = 900, 130, 46, 44
COLOURS = {"accepted": "#2563eb", "refused": "#d97706", "gap": "#dc2626", "text": "#334155", "line": "#cbd5e1"}


def text(x: float, y: float, words: str, anchor: str = "start", colour: str = COLOURS["text"]) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{html.escape(words)}</text>'


def draw(title: str, record: dict, hosts: list[str]) -> str:
    """`record` is Pair.record: orders, refused (each with host and monotonic_ns), fault_ns and ended_ns."""
    begin = min([each["monotonic_ns"] for each in record["orders"]] + [record["fault_ns"]])
    span = max(record["ended_ns"] - begin, 1)
    height = TOP + LANE * len(hosts) + 34

    def x(moment: int) -> float:
        return LEFT + (moment - begin) / span * (WIDTH - LEFT - 20)

    fault = record["fault_ns"]
    gap, gap_from, gap_to = longest_gap(record["orders"], fault, record["ended_ns"])
    bottom = TOP + LANE * len(hosts)
    shapes = [
        text(12, 22, title),
        text(WIDTH - 150, 22, "orders accepted,", "end", COLOURS["accepted"]),
        text(WIDTH - 20, 22, "sent again and refused", "end", COLOURS["refused"]),
        f'<rect x="{x(gap_from):.1f}" y="{TOP - 6}" width="{max(x(gap_to) - x(gap_from), 1):.1f}" height="{bottom - TOP + 6}" fill="#fee2e2"/>',
        text((x(gap_from) + x(gap_to)) / 2, TOP - 10, f"{gap / 1e9:.2f} s without an order", "middle", COLOURS["gap"]),
        f'<path d="M{x(fault):.1f} {TOP - 6}V{bottom + 6}" stroke="{COLOURS["gap"]}" stroke-width="2"/>',
        text(x(fault), bottom + 20, "fault", "middle", COLOURS["gap"]),
    ]
    for lane, host in enumerate(hosts):
        middle = TOP + LANE * lane + LANE / 2
        shapes.append(text(12, middle + 4, host))
        shapes.append(f'<line x1="{LEFT}" y1="{middle}" x2="{WIDTH - 20}" y2="{middle}" stroke="{COLOURS["line"]}"/>')
        for kind, orders in (("accepted", record["orders"]), ("refused", record["refused"])):
            marks = "".join(f"M{x(each['monotonic_ns']):.1f} {middle - 9}v18" for each in orders if each["host"] == host)
            if marks:
                shapes.append(f'<path d="{marks}" stroke="{COLOURS[kind]}"><title>{host}: orders {kind}</title></path>')
    for second in range(0, int(span / 1e9) + 1, max(1, int(span / 1e9 / 15))):
        shapes.append(text(x(begin + second * 10**9), bottom + 32, f"{second} s", "middle"))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12" role="img">'
    return "\n".join([head, f"<title>{html.escape(title)}</title>", f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>', *shapes, "</svg>", ""])
