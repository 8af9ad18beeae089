#!/usr/bin/env python3
"""scripts/simulate --engine gossip --cost | scripts/simulate.d/plot-gossip-cost.py

Puts the table into docs/flows/gossip.md, and draws its messages and bytes per second of a peer by the number of peers,
both axes logarithmic, into docs/gossip-cost.svg."""

import math
import pathlib
import re
import sys

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 380, 70, 70, 30, 50


def rows(lines):
    """Peers, messages per second, bytes per second of each row of a table in Markdown."""
    for line in lines:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) > 3 and cells[0].isdigit():
            yield int(cells[0]), float(cells[2]), float(cells[3])


def scale(low, high, start, end):
    low, high = math.log10(low), math.log10(high)
    return lambda value: start + (math.log10(value) - low) / (high - low) * (end - start)


def main():
    text = [line.rstrip() for line in sys.stdin if line.startswith("|")]
    table = list(rows(text))
    if len(table) < 2:
        sys.exit("plot-gossip-cost: no table on standard input; pipe scripts/simulate --engine gossip --cost into it")
    x = scale(4, 1_000, LEFT, WIDTH - RIGHT)
    messages = scale(1, 10_000, HEIGHT - BOTTOM, TOP)
    octets = scale(100, 1_000_000, HEIGHT - BOTTOM, TOP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
           'font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for exponent in range(5):
        y = messages(10 ** exponent)
        out.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#1f5fa8">{10 ** exponent:,}</text>')
        out.append(f'<text x="{WIDTH - RIGHT + 8}" y="{y + 4:.1f}" fill="#b5541c">{10 ** (exponent + 2):,}</text>')
    for peers in [row[0] for row in table]:
        out.append(f'<text x="{x(peers):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{peers}</text>')
    for column, axis, color in ((1, messages, "#1f5fa8"), (2, octets, "#b5541c")):
        points = " ".join(f"{x(row[0]):.1f},{axis(row[column]):.1f}" for row in table)
        out.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        out += [f'<circle cx="{x(row[0]):.1f}" cy="{axis(row[column]):.1f}" r="3" fill="{color}"/>' for row in table]
    out.append(f'<text x="{LEFT}" y="18" fill="#1f5fa8">messages per second and peer</text>')
    out.append(f'<text x="{WIDTH - RIGHT}" y="18" text-anchor="end" fill="#b5541c">bytes per second and peer</text>')
    out.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">peers in the network</text></svg>')
    (DOCS / "gossip-cost.svg").write_text("\n".join(out) + "\n")
    page = DOCS / "flows/gossip.md"
    old = page.read_text()
    new = re.sub(r"\| peers \|.*?\n(?!\|)", "\n".join(text) + "\n", old, count=1, flags=re.S)
    page.write_text(new)


main()
