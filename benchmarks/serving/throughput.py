"""Requests of one row from 1, 8 and 64 clients, to `aeonnx serve` and to other servers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from serving.peers import SETUP, peers
from serving.report import Bar, Settings, bars, table
from serving.servers import Server, aeonnx, bare, running
from serving.wrk import Load, load, median

__all__ = ["throughput"]

_CLIENTS = (1, 8, 64)
_NAIVE_ASKED = 2.0
_LIMIT_ASKED = 3.0
Loads = Mapping[str, Mapping[int, Load]]


def throughput(settings: Settings) -> str:
    """The section of the report."""
    ours = {form: aeonnx(settings.target, form=form) for form in ("binary", "JSON")}
    others = peers(settings.target, settings.work)
    limits = {form: bare(_size(settings, one), one.wire, form) for form, one in ours.items()}
    servers = [*ours.values(), *others, *limits.values()]
    found: dict[str, dict[int, list[Load]]] = {
        server.name: {clients: [] for clients in _CLIENTS} for server in servers
    }
    for number in range(settings.repetitions):
        turn = number % len(servers)
        for server in servers[turn:] + servers[:turn]:
            for clients, each in _loads(settings, server):
                print(f"{server.name}, {clients}: {each}", file=sys.stderr)
                found[server.name][clients].append(each)
    medians = {
        name: {clients: median(loads) for clients, loads in by_clients.items()}
        for name, by_clients in found.items()
    }
    head = ["requests/s (p50 / p99, ms)", *map(_clients, _CLIENTS), "failed"]
    rows = [_row(server.name, medians[server.name]) for server in servers]
    how = (
        f"One row a request. {SETUP} Medians of {settings.repetitions} repetitions of "
        f"{settings.load:g} s each, in which the servers take turns in another order. Each server "
        "has one core, and its graph one thread; wrk has another core. The last two rows answer a "
        "constant of the same size without a model: the generator of load is not the limit."
    )
    found_bars = bars(_bars(medians, [other.name for other in others]))
    return f"{how}\n\n{table(head, rows)}\n\n{found_bars}"


def _size(settings: Settings, server: Server) -> int:
    """Bytes of an answer."""
    with running(server, settings.target, settings.work) as found:
        return len(found.ask(server.wire.call(settings.target.rows[:1]))[1])


def _loads(settings: Settings, server: Server) -> Iterator[tuple[int, Load]]:
    call = server.wire.call(settings.target.rows[:1])
    with running(server, settings.target, settings.work) as found:
        for clients in _CLIENTS:
            load(found, call, clients, 1, settings.work)
            yield clients, load(found, call, clients, settings.load, settings.work)


def _clients(number: int) -> str:
    return f"{number} client{'s' if number > 1 else ''}"


def _row(name: str, loads: Mapping[int, Load]) -> list[str]:
    cells = [f"{each.rate:,.0f} ({each.p50:.2f} / {each.p99:.2f})" for each in loads.values()]
    return [name, *cells, str(sum(each.failed for each in loads.values()))]


def _bars(medians: Loads, others: list[str]) -> Iterator[Bar]:
    most = max(_CLIENTS)
    at_most = {name: loads[most] for name, loads in medians.items()}
    ours = [name for name in medians if name.startswith("aeonnx")]
    for name in ours:
        for other in others:
            ratio = at_most[name].rate / at_most[other].rate
            yield Bar(f"{name}: more requests/s than {other}", f"{ratio:.2f}x", ratio > 1)
            p99 = at_most[name].p99 / at_most[other].p99
            yield Bar(f"{name}: a lower p99 than {other}", f"{p99:.2f}x", p99 < 1)
        ratio = at_most[name].rate / at_most[others[0]].rate
        asked = f"{name}: {_NAIVE_ASKED:g}x the requests/s of {others[0]}"
        yield Bar(asked, f"{ratio:.2f}x", ratio >= _NAIVE_ASKED)
    failed = sum(each.failed for name in ours for each in medians[name].values())
    yield Bar("no failed request of aeonnx serve", str(failed), failed == 0)
    best = max(at_most[name].rate for name in (*ours, *others))
    limits = [loads.rate for name, loads in at_most.items() if name.startswith("sockets")]
    ratio = min(limits) / best
    asked = f"the generator can do {_LIMIT_ASKED:g}x the best server"
    yield Bar(asked, f"{ratio:.1f}x", ratio >= _LIMIT_ASKED)
