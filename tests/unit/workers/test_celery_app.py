"""The app and its settings, as Celery and kombu understand them."""

import ssl

import pytest
import redis
from celery import Celery
from celery._state import get_current_app
from flower.utils.broker import Broker
from kombu.utils.scheduling import cycle_by_name
from redbeat.schedulers import get_redis

from leadlane.schemas.settings import Settings
from leadlane.workers.celery_app import QUEUES, StrictOrder, configuration, make_app
from leadlane.workers.connection import reach
from leadlane.workers.logs import Logs
from leadlane.workers.redaction import SafeAMQP, SafeTask
from leadlane.workers.results import Results, SentinelResults

SETTINGS = Settings(
    redis_url="redis://:s3cret@localhost:1/0",
    broker_url="redis://:s3cret@localhost:1/1",
    result_url="redis://:s3cret@localhost:1/2",
    visibility_timeout_s=77,
    retention_s=4242,
)

WATCHED = Settings(
    redis_url="sentinel://:s3cret@h1:1/0;sentinel://:s3cret@h2:1/0",
    sentinel_master="mymaster",
    sentinel_password="s3cret",
)


GUARDED = Settings(
    redis_url="rediss://leadlane-worker@h:1/0",
    redis_password="s3cret",
    redis_ca="ca.pem",
    redis_client_cert="own.pem",
    redis_client_key="own.key",
)


@pytest.fixture
def app() -> Celery:
    return make_app(SETTINGS)


def test_every_setting_is_one_that_celery_or_redbeat_knows(app: Celery) -> None:
    from celery.app.defaults import SETTING_KEYS

    others = {name for name in configuration(SETTINGS) if name not in SETTING_KEYS}
    assert others == {
        "redbeat_lock_timeout",
        "redbeat_redis_url",
        "redbeat_redis_options",
        "redbeat_key_prefix",
        "redis_backend_health_check_interval",  # read by Celery's Redis backend, though not in its table
        "result_backend_thread_safe",  # read by all of its backends
    }


def test_every_transport_option_is_one_that_kombu_knows() -> None:
    from kombu.transport.redis import Channel, SentinelChannel

    assert set(configuration(SETTINGS)["broker_transport_options"]) <= set(Channel.from_transport_options)
    watched = configuration(WATCHED)["broker_transport_options"]
    assert set(watched) <= set(SentinelChannel.from_transport_options)
    assert watched["master_name"] == "mymaster"


def test_our_settings_reach_celery(app: Celery) -> None:
    assert app.conf.broker_url == SETTINGS.broker_url
    assert app.conf.result_backend == SETTINGS.result_url
    assert app.conf.redbeat_redis_url == SETTINGS.redis_url
    assert app.conf.result_expires == 4242
    assert app.backend.expires == 4242
    assert app.conf.broker_transport_options["visibility_timeout"] == 77


def test_nothing_is_lost_with_a_worker(app: Celery) -> None:
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert not app.conf.worker_cancel_long_running_tasks_on_connection_loss
    assert app.conf.broker_connection_max_retries is None
    assert app.conf.result_backend_always_retry


def test_only_json_comes_in_or_goes_out(app: Celery) -> None:
    assert app.conf.accept_content == app.conf.result_accept_content == ["json"]
    assert {app.conf.task_serializer, app.conf.result_serializer, app.conf.event_serializer} == {"json"}


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("leadlane.leads.import", "intake"),
        ("leadlane.leads.update", "intake"),
        ("leadlane.leads.remove", "intake"),
        ("leadlane.campaigns.stop", "control"),
        ("leadlane.agents.sync", "control"),
        ("leadlane.maintenance.sweep", "control"),
        ("celery.ping", "celery"),
    ],
)
def test_a_task_goes_to_the_queue_of_its_kind(app: Celery, task: str, queue: str) -> None:
    route = app.amqp.router.route({}, task)
    assert route.get("queue", app.amqp.default_queue).name == queue


def test_of_all_queues_that_are_published_to_four_are_consumed(app: Celery) -> None:
    """Links and chords may name queues of other services."""
    assert tuple(app.amqp.queues) == QUEUES == ("control", "turns", "intake", "celery")
    assert app.amqp.queues["reports"].name == "reports"
    assert tuple(app.amqp.queues.consume_from) == QUEUES


def test_queues_are_served_in_order_however_they_were_named(app: Celery) -> None:
    order = cycle_by_name(app.conf.broker_transport_options["queue_order_strategy"])()
    assert isinstance(order, StrictOrder)
    order.update(["other", "celery", "intake", "control", "turns"])
    order.rotate("control")
    assert order.consume(5) == [*QUEUES, "other"]
    assert order.consume(2) == ["control", "turns"]


def test_a_worker_has_threads(app: Celery) -> None:
    assert app.conf.worker_pool == "threads"
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.worker_disable_prefetch


def test_the_lock_of_beat_outlives_five_of_its_loops(app: Celery) -> None:
    assert app.conf.redbeat_lock_timeout >= 5 * app.conf.beat_max_loop_interval
    sweep = app.conf.beat_schedule["sweep"]
    assert (sweep["task"], sweep["schedule"]) == ("leadlane.maintenance.sweep", 600)


def test_redaction_is_in_its_place(app: Celery) -> None:
    assert isinstance(app.amqp, SafeAMQP)
    assert isinstance(app.log, Logs)
    assert issubclass(app.Task, SafeTask)
    assert app.Task.Request == "leadlane.workers.redaction:SafeRequest"
    assert app.conf.worker_consumer == "leadlane.workers.consumer:SafeConsumer"


@pytest.mark.parametrize(("url", "backend"), [("redis://h/0", Results), ("rediss://h/0", Results)])
def test_results_are_written_by_our_backend(url: str, backend: type) -> None:
    assert type(make_app(Settings(result_url=url)).backend) is backend


def test_each_url_of_tls_is_verified_wherever_it_is_used() -> None:
    app = make_app(GUARDED)
    files = {"ssl_ca_certs": "ca.pem", "ssl_certfile": "own.pem", "ssl_keyfile": "own.key"}
    with app.connection() as broker:
        used = [broker.ssl, app.backend.connparams, get_redis(app).connection_pool.connection_kwargs]
        used.append(reach(GUARDED, GUARDED.redis_url).connection_pool.connection_kwargs)
        used.append(
            Broker(GUARDED.broker_url, broker_use_ssl=broker.ssl).redis.connection_pool.connection_kwargs
        )
    for options in used:
        assert options.items() >= files.items()
        assert options["ssl_cert_reqs"] in ("required", ssl.CERT_REQUIRED)
        assert options.get("ssl_check_hostname", True)


def test_tls_is_for_the_urls_that_say_so() -> None:
    settings = Settings(redis_url="redis://h:1/0", result_url="rediss://h:2/0", redis_ca="ca.pem")
    used = configuration(settings)
    assert used["redis_backend_use_ssl"] == {"ssl_cert_reqs": "required", "ssl_ca_certs": "ca.pem"}
    assert "broker_use_ssl" not in used
    plain = reach(settings, settings.redis_url).connection_pool.connection_class
    assert not issubclass(plain, redis.SSLConnection)


def test_results_behind_sentinels_too() -> None:
    backend = make_app(WATCHED).backend
    assert type(backend) is SentinelResults
    pool = backend.client.connection_pool
    assert pool.service_name == "mymaster"
    assert pool.connection_kwargs["password"] == "s3cret"
    assert pool.sentinel_manager.sentinel_kwargs["password"] == "s3cret"


def test_a_task_class_of_the_caller_is_the_base_of_all_tasks() -> None:
    class Ours(SafeTask):
        abstract = True

    assert issubclass(make_app(SETTINGS, task_cls=Ours).Task, Ours)


def test_an_app_of_ours_does_not_take_the_place_of_a_services_own() -> None:
    own = get_current_app()
    make_app(SETTINGS)
    assert get_current_app() is own


@pytest.mark.parametrize("settings", [SETTINGS, WATCHED, GUARDED])
@pytest.mark.parametrize("shown", ["conf", "report", "broker"])
def test_passwords_are_not_shown(settings: Settings, shown: str) -> None:
    app = make_app(settings)
    with app.connection() as broker:
        text = {
            "conf": str(app.conf.table(with_defaults=True)),
            "report": app.bugreport(),
            "broker": broker.as_uri(),
        }[shown]
    assert "s3cret" not in text
    assert shown == "broker" or "broker_url" in text
