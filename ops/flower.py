"""Flower: the fleet's tasks, workers and queues in a browser.

It shows what events and `inspect` carry, in which there is no phone number and no key
(`leadlane.workers.redaction`). ``/metrics`` has what Prometheus wants of the fleet (`leadlane.ops.metrics`) beside what
Flower counts. It has no login of its own: bind it to loopback, or set ``FLOWER_BASIC_AUTH=user:password`` (each of
Flower's options is such a variable). ``/metrics`` and ``/healthcheck`` are open even then: close them at the proxy.
What it has seen is lost when it ends.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import structlog
from flower.app import Flower  # type: ignore[import-untyped]
from flower.command import apply_env_options, extract_settings  # type: ignore[import-untyped]
from flower.options import options  # type: ignore[import-untyped]
from flower.urls import settings as web_settings  # type: ignore[import-untyped]
from prometheus_client import REGISTRY

from leadlane.ops.metrics import FleetMetrics
from leadlane.workers import logs
from leadlane.workers.celery_app import make_observer
from leadlane.workers.connection import reach_at_once
from leadlane.workers.lanes import Lanes

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from leadlane.schemas.settings import Settings


class FleetFlower(Flower):  # type: ignore[misc]  # it has no types
    """Flower, which of several sentinels can ask one for its page of queues."""

    @property
    def broker_uri_with_password(self) -> str:
        """The broker's URL; of several sentinels the first."""
        url: str = super().broker_uri_with_password
        return url.partition(";")[0]


def run(
    settings: Settings,
    address: str = "127.0.0.1",
    port: int = 5555,
    *,
    read_only: bool = True,
    on_ready: Callable[[str], object] | None = None,
) -> None:
    """Serves Flower until a signal ends it.

    Args:
        settings: whose broker it watches.
        address: interface it listens on.
        port: 0 takes a free one.
        read_only: refuse to revoke tasks, to send any, and to change workers.
        on_ready: called with the URL once it answers.
    """
    logs.configure()
    apply_env_options()
    options.address, options.port, options.read_only = address, port, read_only
    extract_settings()
    app = make_observer(settings)
    app.set_default()  # its views ask for results of "the current app", in any thread
    flower = FleetFlower(capp=app, options=options, **web_settings)
    # Without a greeting: it only looks, and has no right to more.
    metrics = FleetMetrics(Lanes(reach_at_once(settings, settings.redis_url), settings.key_prefix))
    REGISTRY.register(metrics)
    metrics.start()
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, _end)
    url = f"http://{address or '127.0.0.1'}:{flower.start_http_server()}"
    structlog.get_logger(__name__).info("flower ready", url=url, read_only=read_only)
    if on_ready:
        on_ready(url)
    try:
        flower.start()
    except SystemExit:
        pass  # asked to
    finally:
        metrics.stop()
        flower.stop()


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
