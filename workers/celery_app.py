"""The Celery app of the fleet: every setting, each with its reason.

What is said of Celery's behaviour is from the source of celery 5.7.0 and kombu 5.7.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from celery import Celery
from kombu import Queue

from leadlane.schemas.settings import Settings

from .connection import sentinel_options, tls_options
from .guards import Guards, hide_redbeat_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery.app.task import Task

A = TypeVar("A", bound=Celery)

# In the order in which a worker serves them. `celery` is where a plain send_task ends: a second intake.
QUEUES = ("control", "turns", "intake", "celery")

SWEEP_EVERY_S = 600.0


class StrictOrder:
    """A worker asks its queues in the order of `QUEUES`, however its command line named them.

    kombu's own strategies: `round_robin` moves the queue served last to the end, `sorted` is alphabetical,
    `priority` keeps the order in which they were added. None of them outranks a message's own priority: kombu
    asks all queues for messages of priority 0 to 2 first, then all for 3 to 5, and so on. Ours have none.
    """

    def __init__(self) -> None:
        self._queues: list[str] = []

    def update(self, queues: Iterable[str]) -> None:
        """These are the queues from now on; unknown ones come last."""
        rank = {name: place for place, name in enumerate(QUEUES)}
        self._queues = sorted(queues, key=lambda name: rank.get(name, len(rank)))

    def consume(self, n: int) -> list[str]:
        """The first ``n``, to be asked in this order."""
        return self._queues[:n]

    def rotate(self, last_used: str) -> None:
        """Nothing: the order stays."""


def make_app(
    settings: Settings,
    *,
    task_cls: str | type[Task[Any, Any]] = "leadlane.workers.redaction:SafeTask",
    app_cls: type[A] = Celery,  # type: ignore[assignment]  # the default of a type variable
) -> A:
    """A Celery app of its own: not made the current one, so that a service with an app of its own keeps it.

    Args:
        settings: URLs, retention and visibility timeout are taken from them.
        task_cls: base of its tasks, derived from SafeTask.
        app_cls: class of the app.
    """
    app = app_cls(
        "leadlane",
        amqp="leadlane.workers.redaction:SafeAMQP",
        log="leadlane.workers.logs:Logs",
        task_cls=task_cls,
        set_as_current=False,
    )
    app.loader.override_backends = {
        "redis": "leadlane.workers.results:Results",
        "rediss": "leadlane.workers.results:Results",
        "sentinel": "leadlane.workers.results:SentinelResults",
    }
    app.conf.update(configuration(settings))
    app.steps["worker"].add(Guards)
    hide_redbeat_url()
    return app


def make_observer(settings: Settings) -> Celery:
    """An app that asks workers and listens, and has no business with tasks.

    Whoever consumes anything with kombu also puts back what workers took and did not acknowledge in time, bodies and
    all. This one looks into lists of its own instead, and needs no right to theirs (``ops/redis/leadlane.acl``).
    """
    app: Celery = make_app(settings)
    app.conf.broker_transport_options |= {
        f"unacked{part}_key": f"observer.celery.pidbox.unacked{part}" for part in ("", "_index", "_mutex")
    }
    return app


def configuration(settings: Settings) -> dict[str, Any]:
    """Celery's settings for these settings of ours."""
    behind_sentinels = (
        {"master_name": settings.sentinel_master, "sentinel_kwargs": sentinel_options(settings)}
        if settings.sentinel_master
        else {}
    )
    tls = {
        "broker_use_ssl": tls_options(settings, settings.broker_url),
        "redis_backend_use_ssl": tls_options(settings, settings.result_url),
        "redbeat_redis_use_ssl": tls_options(settings, settings.redis_url),
    }
    return {
        **{name: options for name, options in tls.items() if options},
        "broker_url": settings.broker_url,
        "result_backend": settings.result_url,
        # Messages
        "task_serializer": "json",  # a pickle from a queue would be code
        "result_serializer": "json",
        "event_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "enable_utc": True,
        "timezone": "UTC",
        # Queues
        "task_queues": [Queue(name, routing_key=name) for name in QUEUES],
        "task_default_queue": "celery",
        "task_create_missing_queues": True,  # links and chords name queues of other services; none is consumed
        "task_routes": {
            "leadlane.leads.*": {"queue": "intake"},
            "leadlane.campaigns.*": {"queue": "control"},
            "leadlane.agents.*": {"queue": "control"},
            "leadlane.suppress.*": {"queue": "control"},
            "leadlane.maintenance.*": {"queue": "control"},
        },
        # Delivery: at least once. No ETA, no countdown: such a message waits in a worker's memory.
        "task_acks_late": True,  # an early ack loses the task with its worker
        "task_acks_on_failure": True,  # a dead ticket is in its lane; the message has done its work
        "task_reject_on_worker_lost": True,  # else the message of a killed worker's task is acknowledged
        "worker_deduplicate_successful_tasks": False,  # the lane knows twins; Celery's skips a chord's part
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # True stores REVOKED, which is final
        # A worker's slots
        "worker_pool": "threads",  # tasks wait for HTTP; keeper and dispatcher are threads beside them
        "worker_concurrency": 20,  # calls in flight per process, not a share of the CPU
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,  # a message held in a busy worker could have run in an idle one
        "worker_enable_prefetch_count_reduction": False,  # the line above counts slots, after a reconnect too
        "worker_consumer": "leadlane.workers.consumer:SafeConsumer",
        # What can be seen
        "worker_send_task_events": True,  # Flower shows nothing otherwise
        "task_send_sent_event": False,  # a call is received a few ms after it was sent; Flower shows that
        "task_track_started": False,  # one more write a task; the lane knows who holds it, events say it began
        "worker_hijack_root_logger": False,  # leadlane.workers.logs sets up logging, and only its own handler
        "worker_redirect_stdouts": False,  # a print is for people, not a warning in the log
        # Broker connection
        "broker_connection_retry_on_startup": True,
        "task_publish_retry_policy": {  # chains and chords are called by workers, through a restart of Redis
            "max_retries": 10,
            "interval_start": 0.2,
            "interval_step": 0.4,
            "interval_max": 2,
        },
        "broker_connection_max_retries": None,  # after 100 tries, the default, a worker would stop for good
        "broker_transport_options": {
            "visibility_timeout": settings.visibility_timeout_s,  # nothing waits in a worker, twins do no harm
            "unacked_restore_interval": 5,  # the default sweep comes round every 100 s
            "unacked_restore_throttle": 1,
            "queue_order_strategy": f"{__name__}:StrictOrder",  # kombu's default is round robin
            "socket_timeout": 15,  # None, the default, waits for ever on a connection that is half open
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
            **behind_sentinels,
        },
        # Results
        "result_backend_transport_options": behind_sentinels,
        "result_expires": settings.retention_s,
        "result_extended": False,  # True stores the raw arguments
        "result_backend_thread_safe": True,  # one pool of connections for all threads, not one each
        "result_backend_always_retry": True,  # a result in hand is written when Redis is back
        "result_backend_max_retries": 60,  # a minute or so; then the message goes back
        "result_backend_max_sleep_between_retries_ms": 2000,
        "redis_socket_timeout": 15,
        "redis_socket_connect_timeout": 5,
        "redis_socket_keepalive": True,
        "redis_backend_health_check_interval": 25,
        "redis_retry_on_timeout": True,
        # Beat: its schedule lives in Redis; any number may run, one holds the lock
        "beat_scheduler": "redbeat.RedBeatScheduler",
        "beat_max_loop_interval": 5,  # the default, 300 s, makes taking over wait 25 minutes
        "redbeat_lock_timeout": 30,  # at least five loops, or a slow one loses the lock, and beat ends
        "redbeat_redis_url": settings.redis_url,  # else it takes the broker's, until redbeat 2.5
        "redbeat_redis_options": {"retry_period": 60, "socket_timeout": 15},
        "redbeat_key_prefix": f"{settings.key_prefix}:beat:",
        "beat_schedule": {
            "sweep": {"task": "leadlane.maintenance.sweep", "schedule": SWEEP_EVERY_S},
        },
    }
