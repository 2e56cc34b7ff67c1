"""What a worker process must have in place before it takes work, as one bootstep."""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import celery.app.utils
import redis
import structlog
from celery import bootsteps
from celery.concurrency.solo import TaskPool as SoloPool
from celery.concurrency.thread import TaskPool as ThreadPool
from kombu import compression
from kombu.transport.redis import Channel, SentinelChannel

from leadlane.schemas.errors import WrongUse

from .connection import fit_for_celery
from .messages import MOST_BYTES, TOO_LARGE

log = structlog.get_logger(__name__)
_REFUSED = (
    "leadlane: the {} pool is refused: the threads that renew leases and call lanes live in the worker "
    "process, and a forked child or a greenlet would run without them; use --pool threads (or solo)\n"
)


class Guards(bootsteps.Step):
    """Refuses pools that lanes cannot live in, and mends Celery where a busy worker would die."""

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        refuse_foreign_pool(parent.pool_cls)
        guard_closed_channels()
        guard_unreadable_entries()
        bound_decompression()
        reuse_clients()
        wait_for_a_fit_server()


def refuse_foreign_pool(pool: type) -> None:
    """Nothing for the threads and solo pools and what derives from them.

    ``celery worker -P prefork`` never gets here: Celery takes prefork on its command line for "as configured"
    (celery/bin/worker.py), which is threads.

    Raises:
        SystemExit: any other pool; one line on stderr says why, the code is 2.
    """
    if not issubclass(pool, ThreadPool | SoloPool):
        sys.stderr.write(_REFUSED.format(pool.__module__.rpartition(".")[2]))
        raise SystemExit(2)


def guard_closed_channels() -> None:
    """A late ack on a channel whose connection was closed fails as a lost connection, not as a bug.

    When Redis goes away under a worker that holds an unacknowledged message, celery 5.7.0 collects the
    connection (celery/worker/consumer/consumer.py, on_connection_error_after_connected), which detaches the
    transport. `close`, or the ack of the task that ends later, then asks the dead channel for a pool, and
    kombu 5.7.0 (kombu/transport/redis.py, Channel._connparams) reads the hostname of None. An AttributeError
    is not one of the errors Celery recovers from: the whole process ends. Drop this when the test that kills
    Redis under a busy worker passes without it.
    """
    channel: Any = Channel
    connparams = channel._connparams  # noqa: SLF001  # the very function that must be mended
    if getattr(connparams, "guarded", False):
        return

    def guarded(self: Any, asynchronous: bool = False) -> Any:
        if getattr(self.connection, "client", None) is None:
            raise redis.ConnectionError("the broker connection of this channel is closed")
        return connparams(self, asynchronous)

    guarded.guarded = True  # type: ignore[attr-defined]
    channel._connparams = guarded  # noqa: SLF001


def guard_unreadable_entries() -> None:
    """An entry of a queue's list that is no message at all is dropped.

    kombu 5.7.0 (kombu/transport/redis.py, Channel._brpop_read) reads it where nobody expects an error of such a
    kind: the process that popped it would end. What is a message but no task, `SafeConsumer` sees to.
    """
    channel: Any = Channel
    read = channel._brpop_read  # noqa: SLF001  # as above
    if getattr(read, "guarded", False):
        return

    def guarded(self: Any, **options: Any) -> Any:
        try:
            return read(self, **options)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as exc:
            log.error("message dropped, it cannot be read", error=type(exc).__name__)
            return True

    guarded.guarded = True  # type: ignore[attr-defined]
    channel._brpop_read = guarded  # noqa: SLF001


def bound_decompression() -> None:
    """A message that was compressed is unpacked as far as one may be large, and no further.

    kombu 5.7.0 (kombu/message.py) unpacks all of it: half a megabyte may hold five hundred. What we cannot
    bound, brotli and zstd, is not unpacked at all.
    """
    from bz2 import BZ2Decompressor, compress
    from lzma import LZMADecompressor
    from lzma import compress as compress_lzma

    compression.register(zlib.compress, partial(_unpacked, zlib.decompressobj), "application/x-gzip")
    compression.register(compress, partial(_unpacked, BZ2Decompressor), "application/x-bz2")
    compression.register(compress_lzma, partial(_unpacked, LZMADecompressor), "application/x-lzma")
    for name in ("application/x-brotli", "application/zstd"):
        if name in compression.encoders():
            encoder: Any = compression.get_encoder(name)  # type: ignore[no-untyped-call, unused-ignore]
            compression.register(encoder[0], _not_unpacked, name)


def _unpacked(start: Callable[[], Any], packed: bytes) -> bytes:
    body: bytes = start().decompress(packed, MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise WrongUse(TOO_LARGE)
    return body


def _not_unpacked(_: bytes) -> bytes:
    raise WrongUse("compression: is not read here; use gzip, or none")


def reuse_clients() -> None:
    """A channel keeps its client of Redis.

    kombu 5.7.0 (kombu/transport/redis.py, Channel.conn_or_acquire) makes a new one for each command: with its
    script registry and callbacks that costs more CPU than the command itself.
    """
    channel: Any = Channel
    create = channel._create_client  # noqa: SLF001  as above
    if getattr(create, "reused", False):
        return

    def reused(self: Any, asynchronous: bool = False) -> Any:
        if asynchronous:
            return create(self, asynchronous)
        known = self.__dict__.get("_leadlane_client")
        if known is None or known.connection_pool is not self.pool:
            known = self.__dict__["_leadlane_client"] = create(self)
        return known

    reused.reused = True  # type: ignore[attr-defined]
    channel._create_client = reused  # noqa: SLF001


def wait_for_a_fit_server() -> None:
    """A broker that cannot serve now (a replica, one without its replicas, a full one) is waited for.

    To kombu 5.7.0 such answers are errors of a channel, of which Celery's consumer recovers from few: the worker ends
    with "Unrecoverable error: ResponseError".
    """
    for channel in (Channel, SentinelChannel):
        for name in ("connection_class", "connection_class_ssl"):
            setattr(channel, name, fit_for_celery(getattr(channel, name)))


def hide_redbeat_url() -> None:
    """`inspect conf`, `report` and Flower's Config tab show RedBeat's URL as ********.

    Celery hides settings by name, and this one's name does not say that there may be a password in it
    (https://github.com/sibson/redbeat/issues/215).
    """
    shown: Any = celery.app.utils
    if not shown.HIDDEN_SETTINGS.search("redbeat_redis_url"):
        pattern = f"{shown.HIDDEN_SETTINGS.pattern}|REDBEAT_REDIS_URL"
        shown.HIDDEN_SETTINGS = re.compile(pattern, re.IGNORECASE)
