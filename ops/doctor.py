"""`leadlane doctor`: what is wrong with this fleet, and the remedy of each finding.

It only looks: nothing is written to Redis but the question to the workers, and a dialer gets one GET per account.
No secret is shown: URLs without password, errors by their kind, never what a server said about a key.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import redis

from leadlane.schemas.errors import SettingsError
from leadlane.schemas.redis_urls import is_sentinels, sentinels, speaks_tls, without_password
from leadlane.schemas.settings import (
    HASH_KEY_REF,
    Account,
    Settings,
    load_settings,
    resolve_key,
    resolve_reference,
)
from leadlane.workers.account_view import accounts_at
from leadlane.workers.answers import Meaning, meaning
from leadlane.workers.celery_app import QUEUES, make_observer
from leadlane.workers.connection import reach_at_once, sentinel_options
from leadlane.workers.faults import OUTAGES, why_unreachable
from leadlane.workers.lane_view import living_workers, now_ms
from leadlane.workers.lanes import Lanes
from leadlane.workers.providers import PROVIDERS, Provider
from leadlane.workers.transport import NoAnswer, Request, Transport

Level = Literal["ok", "note", "finding", "unreachable"]

LEAST_VERSION: Final = (6, 2)
MOST_FULL: Final = 0.8
MOST_SKEW_S: Final = 2.0
WORKERS_ANSWER_S: Final = 1.5
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
NO_CAMPAIGN: Final = "0"
"""The id of no campaign: asked about it, a dialer that takes the key says 404."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; ``remedy`` says what to do about a finding. ``note`` is worth knowing and no fault."""

    check: str
    level: Level
    found: str
    remedy: str = ""


def examine(*, calls: bool = True, transport: Transport | None = None) -> Iterator[Check]:
    """Everything looked at, as it is found. Without ``calls`` no dialer is asked."""
    try:
        settings = load_settings()
    except SettingsError as exc:
        yield Check("settings", "finding", f"{exc.path}: {exc.problem}", exc.remedy)
        return
    yield Check("settings", "ok", f"{len(settings.accounts)} accounts, prefix {settings.key_prefix}")
    urls = {"redis": settings.redis_url}
    urls |= {"broker": settings.broker_url} if settings.broker_url != settings.redis_url else {}
    urls |= {"results": settings.result_url} if settings.result_url not in urls.values() else {}
    reached = {}
    for name, url in urls.items():
        client = reach_at_once(settings, url)  # not the lanes' own: that tells them of a server, we only look
        checks = list(_server(name, url, client))
        yield from checks
        if is_sentinels(url):
            yield from _watched(name, settings, url, client if checks[0].level == "ok" else None)
        if checks[0].level == "ok":
            reached[name] = client
    if "redis" in reached:
        lanes = Lanes(reached["redis"], settings.key_prefix)
        workers = living_workers(lanes)
        yield from _workers(lanes, workers)
        yield from _held(lanes, settings, workers)
        if broker := reached.get("broker", None if "broker" in urls else reached["redis"]):
            yield from _queues(settings, lanes, broker, workers)
    yield from _keys(settings, transport or Transport(), calls=calls)
    for client in reached.values():
        client.close()


def exit_code(checks: list[Check]) -> int:
    """0 if all is well, 3 if something could not be reached, else 1."""
    levels = {check.level for check in checks}
    return 3 if "unreachable" in levels else int("finding" in levels)


def _server(name: str, url: str, client: redis.Redis) -> Iterator[Check]:
    """The server behind a URL; the first of them says whether it answers."""
    place = without_password(url)
    try:
        client.ping()
        began = time.time()
        seconds, micros = client.time()
        skew_s = seconds + micros / 1e6 - (began + time.time()) / 2
        info: dict[str, Any] = client.info()
    except redis.RedisError as exc:
        problem, remedy = why_unreachable(exc)
        yield Check(name, "unreachable", f"{place} {problem}", remedy)
        return
    yield Check(name, "ok", f"{place} answers, version {info.get('redis_version', '?')}")
    yield _overheard(name, url)
    yield from _fitness(name, info)
    yield _memory(name, info)
    if abs(skew_s) > MOST_SKEW_S:
        yield Check(
            f"{name}: clock",
            "finding",
            f"{abs(skew_s):,.1f} s {'before' if skew_s > 0 else 'behind'} this machine's",
            "let both keep time (chrony, systemd-timesyncd); lanes go by that of Redis",
        )
    else:
        yield Check(f"{name}: clock", "ok", f"{abs(skew_s):.1f} s from this machine's")


def _overheard(name: str, url: str) -> Check:
    """Whether others on the network could read along."""
    if speaks_tls(url):
        return Check(f"{name}: TLS", "ok", "its certificate is verified")
    if url.startswith("unix://") or all(urlsplit(part).hostname in LOOPBACK for part in url.split(";")):
        return Check(f"{name}: TLS", "ok", "not needed within this machine")
    remedy = "there is none behind sentinels: close that network" if is_sentinels(url) else "write rediss://"
    return Check(f"{name}: TLS", "note", "none: leads cross the network in plain", remedy)


def _fitness(name: str, info: Mapping[str, Any]) -> Iterator[Check]:
    """Whether the server is of a kind that keeps what it is told."""
    version = tuple(
        int(part) for part in str(info.get("redis_version", "0")).split(".")[:2] if part.isdecimal()
    )
    policy = info.get("maxmemory_policy")
    wrong = [
        (
            version < LEAST_VERSION,
            "version",
            f"older than {'.'.join(map(str, LEAST_VERSION))}",
            "take a newer Redis or Valkey",
        ),
        (info.get("role") != "master", "role", "a replica", "name the primary"),
        (
            bool(info.get("cluster_enabled")),
            "role",
            "a cluster",
            "take one primary; a cluster is not supported",
        ),
        (
            not info.get("aof_enabled"),
            "persistence",
            "appendonly is off: what was accepted is lost when the server ends",
            "set appendonly yes",
        ),
        (
            info.get("aof_enabled") and info.get("aof_last_write_status") != "ok",
            "persistence",
            "its last write to disk failed",
            "look at its log; is the disk full?",
        ),
        (
            policy != "noeviction",
            "eviction",
            f"maxmemory-policy is {policy}: under pressure it throws lanes and leads away",
            "set maxmemory-policy noeviction",
        ),
    ]
    found = [
        Check(f"{name}: {what}", "finding", told, remedy) for is_so, what, told, remedy in wrong if is_so
    ]
    yield from found
    if not found:
        yield Check(f"{name}: keeping", "ok", "a primary, appendonly yes, noeviction")


def _watched(name: str, settings: Settings, url: str, primary: redis.Redis | None) -> Iterator[Check]:
    """Whether the sentinels are there, know the primary, and can replace it without harm."""
    nodes = sentinels(url).nodes
    answer: dict[str, bool] = {}
    for host, port in nodes:
        with redis.Redis(host, port, **sentinel_options(settings)) as sentinel:
            try:
                answer[f"{host}:{port}"] = settings.sentinel_master in sentinel.sentinel_masters()
            except redis.RedisError:
                continue
    silent = [f"{host}:{port}" for host, port in nodes if f"{host}:{port}" not in answer]
    strangers = [node for node, knows in answer.items() if not knows]
    if silent:
        yield Check(
            f"{name}: sentinels",
            "finding" if answer else "unreachable",
            f"no answer from {', '.join(silent)}",
            "are they running? Is a password needed (sentinel_password)?",
        )
    if strangers:
        yield Check(
            f"{name}: sentinels",
            "finding",
            f"{', '.join(strangers)} know no {settings.sentinel_master}",
            "mend sentinel_master, or their configuration",
        )
    if not silent and not strangers:
        yield Check(f"{name}: sentinels", "ok", f"{len(answer)} know {settings.sentinel_master}")
    if primary:
        yield _replaceable(name, primary.info("replication"))


def _replaceable(name: str, info: Any) -> Check:
    """Whether the primary has a replica, and takes no writes without one."""
    if not info.get("connected_slaves"):
        return Check(
            f"{name}: replicas",
            "finding",
            "none follows the primary",
            "start one: there is nothing to fail over to",
        )
    if "min_slaves_good_slaves" not in info:
        return Check(
            f"{name}: replicas",
            "finding",
            "a primary that is cut off would go on: two of them may give turns to one lane",
            "set min-replicas-to-write 1, and min-replicas-max-lag below the sentinels' down-after-milliseconds",
        )
    return Check(
        f"{name}: replicas", "ok", f"{info['min_slaves_good_slaves']} follow, none is written without"
    )


def _memory(name: str, info: Mapping[str, Any]) -> Check:
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    room = limit or int(info.get("total_system_memory", 0))
    said = f"{used / 2**20:,.0f} MB of {room / 2**20:,.0f} MB" + (
        "" if limit else " of the machine, no limit set"
    )
    if room and used > MOST_FULL * room:
        return Check(
            f"{name}: memory", "finding", said, "give it more; a full server refuses what producers send"
        )
    return Check(f"{name}: memory", "ok", said)


def _workers(lanes: Lanes, living: int) -> Iterator[Check]:
    with lanes.client.pipeline(transaction=False) as pipe:
        pipe.hget(lanes.key("slots", "turns"), "sum")
        pipe.hget(lanes.key("slots", "control"), "sum")
        pipe.hget(lanes.key("clock"), "quiet")
        turns, control, quiet = (int(float(value or 0)) for value in pipe.execute())
    if not living:
        yield Check("workers", "finding", "none is alive", "start one: leadlane worker")
    else:
        yield Check("workers", "ok", f"{living} alive, {turns} slots for leads, {control} for control")
        if not turns:
            yield Check("workers", "finding", "none serves leads", "start one: leadlane worker")
        if not control:
            yield Check(
                "workers",
                "finding",
                "none serves start, pause and stop",
                "start one: leadlane worker --control",
            )
    left_s = (quiet - now_ms(lanes)) / 1000
    if left_s > 0:
        yield Check(
            "quiet time",
            "note",
            f"Redis was restarted: no lane gets a turn for {left_s:,.0f} s",
            "wait for it",
        )


def _held(lanes: Lanes, settings: Settings, workers: int) -> Iterator[Check]:
    """Accounts and lanes that do not go on by themselves."""
    published = accounts_at(lanes)
    for view in published:
        release = f"mend it, then: leadlane account release {view.account}"
        if view.state == "on hold":
            yield Check(f"account {view.account}", "finding", f"on hold: {view.reason}", release)
        elif view.next_s:
            yield Check(
                f"account {view.account}",
                "note",
                f"{view.state} for {view.next_s:,.0f} s: {view.reason}",
                "wait",
            )
        for operation, why in view.held.items():
            yield Check(f"account {view.account}", "finding", f"{operation} is on hold: {why}", release)
    missing = sorted(set(settings.accounts) - {view.account for view in published})
    if workers and missing:
        yield Check(
            "accounts",
            "finding",
            f"no worker has published {', '.join(missing)}",
            "start the workers again with these settings",
        )
    if held := int(lanes.client.scard(lanes.key("holds"))):
        yield Check("lanes", "note", f"{held} on hold", "see leadlane lane list; leadlane lane release A/C")


def _queues(settings: Settings, lanes: Lanes, broker: redis.Redis, workers: int) -> Iterator[Check]:
    """Queues in which messages wait for nobody. Of control and turns the workers' slots in the lanes tell, too."""
    try:
        inspect: Any = make_observer(settings).control.inspect(timeout=WORKERS_ANSWER_S)
        answers: Mapping[str, list[dict[str, Any]]] = (inspect.active_queues() or {}) if workers else {}
    except OUTAGES:
        answers = {}
    readers = {
        name: sum(any(q["name"] == name for q in served) for served in answers.values()) for name in QUEUES
    }
    if workers and not answers:
        yield Check(
            "queues",
            "finding",
            "workers live, but none answers over the broker",
            "have workers and this machine the same broker_url?",
        )
    for name in QUEUES:
        waiting = int(broker.llen(name))
        slots: dict[bytes, bytes] = lanes.client.hgetall(lanes.key("slots", name))  # type: ignore[assignment]
        served = sum(float(n) > 0 for worker, n in slots.items() if worker != b"sum")
        readers[name] = max(readers[name], served if workers else 0)
        if not readers[name] and (waiting or answers):
            yield Check(
                f"queue {name}",
                "finding",
                f"nobody reads it, {waiting:,} messages wait",
                f"start one that does: leadlane worker --queues {name}",
            )
        elif readers[name]:
            yield Check(f"queue {name}", "ok", f"{readers[name]} read it, {waiting:,} messages wait")


def _keys(settings: Settings, transport: Transport, *, calls: bool) -> Iterator[Check]:
    if not settings.accounts:
        yield Check("keys", "note", "no account is in the settings here", "run this where a worker runs")
        return
    yield _hash_key(settings)
    for account in settings.accounts.values():
        name = f"key of {account.name}"
        try:
            key = resolve_key(account)
        except SettingsError as exc:
            yield Check(name, "finding", exc.problem, exc.remedy)
            continue
        path = harmless_path(PROVIDERS[account.provider])
        if not path:
            yield Check(
                name,
                "note",
                f"cannot be tried: {account.provider} documents no call that only reads",
                "import one lead",
            )
        elif calls:
            yield _tried(name, account, key, path, transport)


def _hash_key(settings: Settings) -> Check:
    """Whether it is given; that it is the one of the fleet each worker looks to before it starts."""
    try:
        resolve_reference(settings.hash_key_ref, "hash_key_ref")
    except SettingsError as exc:
        if settings.hash_key_ref != HASH_KEY_REF:
            return Check("hash key", "finding", exc.problem, exc.remedy)
        return Check(
            "hash key",
            "note",
            "none is given: the first worker makes one, which lies in Redis; good enough for a trial",
            "set LEADLANE_HASH_KEY where workers run, before the first lead",
        )
    return Check("hash key", "ok", "is given")


def harmless_path(provider: Provider) -> str:
    """Path and query of a GET that only reads, or '' where the dialer documents none."""
    listing = provider.states.listing if provider.states else None
    if listing and not listing.endpoint.behind:  # what is behind a switch is not documented
        return f"{listing.endpoint.path}?{listing.query(0)}"
    return provider.look.path.format(campaign=NO_CAMPAIGN) if provider.look else ""


def _tried(name: str, account: Account, key: str, path: str, transport: Transport) -> Check:
    headers = PROVIDERS[account.provider].headers(key)
    try:
        answer = transport.send(
            Request("GET", account.base_url + path, headers, None), timeout_s=min(account.timeout_s, 15.0)
        )
    except NoAnswer as exc:
        return Check(
            name,
            "unreachable",
            f"{account.base_url} gave no answer ({exc.reason})",
            "is base_url right, and the way open?",
        )
    means = meaning(answer.status)
    said = f"{account.base_url} says {answer.status}"
    if means is Meaning.OK:
        return Check(name, "ok", "taken")
    if means is Meaning.MISSING and NO_CAMPAIGN in path:
        return Check(name, "ok", "taken (404 for a campaign that is none)")
    if means is Meaning.UNAUTHORIZED:
        return Check(
            name,
            "finding",
            f"{said}: the key is not taken",
            f"put the right one where accounts.{account.name}.api_key says",
        )
    if means is Meaning.FORBIDDEN:
        return Check(
            name,
            "finding",
            f"{said}: the key may not read",
            "give it the rights that the dialer's page names",
        )
    if means in (Meaning.THROTTLED, Meaning.FAILED):
        return Check(name, "note", f"{said}: whether it takes the key is not known", "try again later")
    return Check(name, "finding", f"{said} to a GET that it documents", "is base_url that of the dialer?")
