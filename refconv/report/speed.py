"""What `refconv bench` found: in a terminal, as JSON, and as a page with the roofline drawn."""

from __future__ import annotations

import html
import math
import platform
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from refconv import __version__
from refconv.bench import Bench, Row

__all__ = ["as_json", "page", "show"]

STYLES = {"timed": "bold green", "refused": "bold red", "nothing": "bold yellow"}
LEGEND = (
    "x: times as fast, median of the rounds' ratios [95 % interval]; roof: share of the least time that the measured "
    "rates of product and memory leave"
)


def headline(bench: Bench) -> str:
    """The first line: what was timed and what was not."""
    counts = [f"{bench.count('timed')} timed"]
    counts += [f"{n} {status}" for status in ("declined", "wrong", "impossible") if (n := bench.count(status))]
    return f"BENCH: {', '.join(counts)}"


def setting(bench: Bench) -> str:
    """On what, and how."""
    threads = f"{bench.threads} thread" + "s" * (bench.threads != 1)
    peaks = ", ".join(f"{rate / 1e9:.0f} Gflop/s {name}" for name, rate in bench.peak.product.items())
    rates = [rate for _, rate in bench.peak.memory]
    run_by = f"; the subject run by {bench.subject.interpreter.words}" if bench.subject.interpreter else ""
    return (
        f"{bench.subject.name} on {bench.subject.device}, {threads}, {bench.rounds} rounds; "
        f"peak {peaks}, {rates[-1] / 1e9:.0f} to {max(rates) / 1e9:.0f} GB/s{run_by}"
    )


# ------------------------------------------------------------------------------------------------- terminal


def show(bench: Bench, console: Console) -> None:
    """One line for each workload that was timed, and why the others were not."""
    console.print(Text(headline(bench), style=STYLES[bench.status]))
    console.print(Text(setting(bench)), soft_wrap=True)
    if bench.count("timed"):
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("workload", "ms", *(f"x {name}" for name in bench.rivals), "roof"):
            table.add_column(column, justify="left" if column == "workload" else "right", no_wrap=True)
        for row in bench.rows:
            if row.status == "timed":
                ratios = (str(row.ratios[name]) if name in row.ratios else "-" for name in bench.rivals)
                table.add_row(row.workload.name, f"{1e3 * row.median:.3f}", *ratios, f"{row.share:.0%}")
        console.print(table)
        for line in _means(bench):
            console.print(Text(line), soft_wrap=True)
        console.print(Text(LEGEND, style="dim"), soft_wrap=True)
    for row in bench.rows:
        if row.status in ("wrong", "impossible"):
            console.print()
            console.print(Text(f"{row.workload.name} is {row.status}, not timed", style=STYLES["refused"]))
            console.print(Text(row.reason), soft_wrap=True)
    for line in _left_out(bench.rows):
        console.print(Text(line, style="dim"), soft_wrap=True)


def _means(bench: Bench) -> Iterable[str]:
    for name in bench.rivals:
        found = [row.ratios[name].median for row in bench.rows if row.status == "timed" and name in row.ratios]
        if found:
            mean = math.exp(sum(map(math.log, found)) / len(found))
            yield f"{mean:.2f} times as fast as {name}, geometric mean of {len(found)}"


def _left_out(rows: Sequence[Row]) -> Iterable[str]:
    """Declined calls, and rivals that could not be timed, each reason once."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.status == "declined":
            reasons.setdefault(f"declined: {row.reason}", []).append(row.workload.name)
        for name, reason in row.absent.items():
            reasons.setdefault(f"{name} {reason}", []).append(row.workload.name)
    for reason, names in reasons.items():
        yield f"{reason} ({names[0]}" + (f" and {len(names) - 1} more)" if len(names) > 1 else ")")


# ------------------------------------------------------------------------------------------------------ JSON


def as_json(bench: Bench) -> dict[str, Any]:
    """Everything, the seconds of each round included."""
    return {
        "refconv": __version__,
        "headline": headline(bench),
        "status": bench.status,
        "subject": bench.subject.name,
        "device": bench.subject.device,
        "interpreter": bench.subject.interpreter and vars(bench.subject.interpreter),
        "machine": {"processor": platform.processor() or platform.machine(), "system": platform.platform()},
        "numpy": np.__version__,
        "threads": bench.threads,
        "rounds": bench.rounds,
        "clocks": bench.clocks,
        "peak": {"product": dict(bench.peak.product), "memory": [list(pair) for pair in bench.peak.memory]},
        "rows": [_row(row) for row in bench.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    w = row.workload
    return {
        "workload": w.name,
        "operation": w.operation,
        "shapes": {name: list(shape) for name, shape in w.shapes.items()},
        "arguments": dict(w.arguments),
        "dtype": w.dtype,
        "status": row.status,
        "reason": row.reason,
        "seconds": {name: list(times) for name, times in row.seconds.items()},
        "speed": {name: vars(one) for name, one in row.ratios.items()},
        "absent": row.absent,
        "flops": row.flops,
        "bytes": row.bytes,
        "share_of_roof": row.share,
        "least_seconds": row.floor,
    }


# ------------------------------------------------------------------------------------------------------ page

STYLE = """
:root { color-scheme: light dark } body { font: 14px/1.45 system-ui, sans-serif; max-width: 70em; margin: 2em auto;
padding: 0 1em } table { border-collapse: collapse } td, th { padding: .15em .8em .15em 0; text-align: left }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums } pre { white-space: pre-wrap }
svg { width: 100%; height: auto } svg text { font: 12px system-ui, sans-serif; fill: currentColor }
.roof { stroke: currentColor; fill: none; stroke-width: 1.5 } .grid { stroke: currentColor; opacity: .15 }
.subject { fill: #d55e00 } .refconv { fill: #0072b2 } .torch { fill: #009e73 } .refused { color: #c00000 }
"""
LEFT, TOP, WIDTH, HEIGHT = 60, 20, 840, 400  # of the picture, in its own units


def page(bench: Bench) -> str:
    """One file that needs no other: the table, a roofline for each dtype, what was refused, how it was measured."""
    dtypes = dict.fromkeys(row.workload.dtype for row in bench.rows if row.status == "timed" and row.flops)
    parts = [f"<h1>{_text(headline(bench))}</h1><p>{_text(setting(bench))}"]
    parts += [f"<br>{_text(bench.clocks)}"] * bool(bench.clocks)
    parts += [f"<p>{_text(line)}" for line in _means(bench)]
    parts += [_table(bench), f"<p><small>{_text(LEGEND)}</small>"]
    for row in bench.rows:
        if row.status in ("wrong", "impossible"):
            parts.append(
                f"<h2 class=refused>{_text(row.workload.name)} is {row.status}, not timed</h2>"
                f"<pre>{_text(row.reason)}</pre>"
            )
    parts += [f"<h2>Roofline, {_text(dtype)}</h2>{_roofline(bench, dtype)}" for dtype in dtypes]
    parts += [f"<p>{_text(line)}" for line in _left_out(bench.rows)]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{_text(headline(bench))}</title><style>{STYLE}</style>" + "\n".join(parts) + "</html>\n"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _table(bench: Bench) -> str:
    heads = ["ms", *(f"x {name}" for name in bench.rivals), "roof"]
    out = ["<table><tr><th>workload" + "".join(f"<th class=n>{_text(head)}" for head in heads)]
    for row in bench.rows:
        if row.status == "timed":
            cells = [f"{1e3 * row.median:.3f}"]
            cells += [str(row.ratios[name]) if name in row.ratios else "-" for name in bench.rivals]
            cells.append(f"{row.share:.0%}")
            out.append(f"<tr><td>{_text(row.workload.name)}" + "".join(f"<td class=n>{_text(c)}" for c in cells))
    return "".join(out) + "</table>"


def _roofline(bench: Bench, dtype: str) -> str:
    """Flop/s against flop/byte, both logarithmic, under the roof of the product and of memory at its fastest."""
    rows = [row for row in bench.rows if row.status == "timed" and row.flops and row.workload.dtype == dtype]
    product, rate = bench.peak.product[dtype], max(r for _, r in bench.peak.memory)
    points = [
        (row.flops / row.bytes, row.flops / float(np.median(times)), name, row.workload.name)
        for row in rows
        for name, times in row.seconds.items()
    ]
    x = _Axis([p[0] for p in points] + [product / rate], LEFT, WIDTH)
    y = _Axis([p[1] for p in points] + [product], TOP + HEIGHT, -HEIGHT)
    out = [f'<svg viewBox="0 0 {LEFT + WIDTH + 20} {TOP + HEIGHT + 45}" role="img" aria-label="roofline">']
    for tick in x.ticks:
        out.append(f'<path class="grid" d="M{x(tick):.1f} {TOP}v{HEIGHT}"/>')
        out.append(f'<text x="{x(tick):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{tick:g}</text>')
    for tick in y.ticks:
        out.append(f'<path class="grid" d="M{LEFT} {y(tick):.1f}h{WIDTH}"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick / 1e9:g}</text>')
    low = max(x.low, y.low / rate)
    start = f"M{x(low):.1f} {y(low * rate):.1f}"
    out.append(
        f'<path class="roof" d="{start}L{x(product / rate):.1f} {y(product):.1f}L{x(x.high):.1f} {y(product):.1f}"/>'
    )
    shapes = {"subject": "M0-5L5 5H-5Z", "refconv": "M-4-4H4V4H-4Z", "torch": "M0-5L5 0 0 5-5 0Z"}
    for intensity, speed, name, workload in points:
        place = f"translate({x(intensity):.1f} {y(speed):.1f})"
        said = f"{workload}, {name}: {speed / 1e9:.1f} Gflop/s"
        out.append(f'<path class="{name}" transform="{place}" d="{shapes[name]}"><title>{_text(said)}</title></path>')
    for i, name in enumerate(dict.fromkeys(p[2] for p in points)):
        out.append(f'<path class="{name}" transform="translate({LEFT + 16} {TOP + 16 + 18 * i})" d="{shapes[name]}"/>')
        shown = bench.subject.name if name == "subject" else name
        out.append(f'<text x="{LEFT + 28}" y="{TOP + 20 + 18 * i}">{_text(shown)}</text>')
    out.append(f'<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 38}" text-anchor="middle">flop/byte</text>')
    return "".join(out) + f'<text x="4" y="{TOP - 6}">Gflop/s</text></svg>'


class _Axis:
    """Powers of ten that hold all values, drawn over so many units."""

    def __init__(self, values: Sequence[float], start: float, length: float) -> None:
        first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values) * 1.05))
        self.low, self.high, self.start, self.length = 10.0**first, 10.0**last, start, length
        self.ticks = [10.0**n for n in range(first, last + 1)]

    def __call__(self, value: float) -> float:
        return self.start + self.length * math.log10(value / self.low) / math.log10(self.high / self.low)
