"""Every dialer over real sockets: what it can do is done, what it cannot is refused before anything is queued."""

import itertools
from collections import Counter
from typing import Any

import pytest
from celery.result import AsyncResult

from leadlane import asking
from leadlane.schemas.errors import UnsupportedOperation
from leadlane.workers import calling
from leadlane.workers.celery_app import QUEUES
from leadlane.workers.providers import PROVIDERS
from leadlane.workers.providers.contract import AGENT_WORDS, LOOK_WORDS, STATE_WORDS
from tests.system.conftest import Town, until
from tests.system.judge import leads, nothing_left_over, number, producer, results

OPERATIONS = ("import", "upload", "update", "remove")
CAMPAIGNS = {"voiso": "3", "voiceaiwrapper": "camp_3", "dialnexa": "cmp_3", "voicery": "3"}
CELLS = [(name, operation) for name in PROVIDERS for operation in OPERATIONS]
CAN = [cell for cell in CELLS if cell[1] in PROVIDERS[cell[0]].operations]
BEHIND = [
    (name, operation, switch)
    for name, provider in PROVIDERS.items()
    for operation in provider.supported
    if (switch := provider.switch_of(operation))
]
OFF = [cell for cell in CELLS if any(cell == (name, operation) for name, operation, _ in BEHIND)]
CANNOT = [cell for cell in CELLS if cell not in CAN] + OFF
COMMANDS = [cell for cell in BEHIND if cell[1] in STATE_WORDS]
LISTS = [(name, switch) for name, word, switch in BEHIND if word == "campaigns"]
REACHED = {
    "dialnexa": {"start": "running", "pause": "paused"},
    "voicery": {"start": "in-progress", "stop": "stopped"},
}
WITHOUT_LEADS = (*STATE_WORDS, *AGENT_WORDS, *LOOK_WORDS)
CANNOT_EITHER = [
    (name, word) for name, record in PROVIDERS.items() for word in WITHOUT_LEADS if word not in record.calls
]
TASKS = calling.TASK_OF | asking.TASK_OF
RATE = 50


@pytest.fixture
def town(town: Town) -> Town:
    """An account at each dialer, named after it, at 50 calls a second; the dialers count them."""
    town.env["LEADLANE_HASH_KEY"] = "k" * 32
    limited = {"sandbox-key": [f"{RATE}/s"]}
    town.sandbox.change(
        dialnexa_keys=limited, voicery_keys=limited, voiceaiwrapper_keys=limited, keep_fields=True
    )
    for name in PROVIDERS:
        gap = "0.3" if name == "voiso" else "0"
        town.account(name, provider=name, rate=f"{RATE}/s", import_gap_s=gap)
    return town


def send(town: Town, provider: str, operation: str, rows: Any) -> dict[str, Any]:
    """The progress of an ended job."""
    return ask(town, provider, operation, rows).wait(timeout=60)  # type: ignore[no-any-return]


def ask(town: Town, provider: str, operation: str, rows: Any) -> Any:
    """The job."""
    campaign = town.fleet().campaign(f"{provider}/{CAMPAIGNS[provider]}")
    if operation == "upload":
        return campaign.import_leads(rows, as_file=True)
    return getattr(campaign, f"{operation}_leads")(rows)


def switch_on(town: Town, provider: str) -> None:
    """All switches of the account, and what they are about at the dialer."""
    for switch in PROVIDERS[provider].switches:
        town.env[f"LEADLANE_ACCOUNTS__{provider.upper()}__{switch.upper()}"] = "true"
    town.sandbox.change(voicery_siblings=True, dialnexa_pausing=True, voiceaiwrapper_ignores_duplicates=True)


def held(town: Town, provider: str) -> dict[str, dict[str, Any]]:
    """The numbers that the dialer has in the campaign."""
    found = town.sandbox.leads(CAMPAIGNS[provider], provider)
    return {number: of for number, of in found.items() if of["stored"]}


def kept_every_rule(town: Town, provider: str, resent_after_answer: int = 0) -> dict[str, Any]:
    """What the sandbox counted, if no rule was broken; so many leads may have been sent again after an answer."""
    figures: dict[str, Any] = town.sandbox.verify()["dialers"][provider]
    allowed = {"resent_after_answer": resent_after_answer}
    wrong = {
        name: figures[name]
        for name in ("breaches", "stored_twice", "resent_after_answer", "resent_after_silence", "over_rate")
        if figures[name] > allowed.get(name, 0)
    }
    assert wrong == {}
    return figures


@pytest.mark.parametrize(("provider", "operation"), CAN)
def test_a_dialer_does_what_its_record_says(town: Town, provider: str, operation: str) -> None:
    if PROVIDERS[provider].switch_of(operation):
        switch_on(town, provider)
    town.worker()
    brings = operation if operation == "upload" else "import"
    imported = send(town, provider, brings, leads(25, name="Ada Low", variables={"plan": "gold"}))
    taken = "accepted" if provider == "voiceaiwrapper" else "created"
    assert imported[taken] == imported["leads"] == 25
    until(lambda: len(held(town, provider)) == 25)
    if operation == "update":
        changed = send(town, provider, "update", leads(10, name="Bob High", variables={"plan": "blue"}))
        assert changed["updated"] == changed["leads"] == 10
        kept = [str(of["fields"]) for of in held(town, provider).values()]
        assert sum("Bob" in fields for fields in kept) == 10
    if operation == "remove":
        removed = send(town, provider, "remove", [number(i) for i in range(1, 11)])
        assert removed["removed"] == removed["leads"] == 10
        assert {key.lstrip("+") for key in held(town, provider)} == {number(i)[1:] for i in range(11, 26)}
    kept_every_rule(town, provider)
    nothing_left_over(town)


def test_what_a_dialer_cannot_do_is_refused_at_once_and_nothing_queued(town: Town) -> None:
    """No worker runs: the refusal of each cell comes from the face, by the published facts."""
    asked: list[int] = []
    rows = ({"phone_number": number(i), "name": "Ada"} for i in itertools.count(1) if not asked.append(i))  # type: ignore[func-returns-value]
    for provider, operation in CANNOT:
        with pytest.raises(UnsupportedOperation) as refused:
            ask(town, provider, operation, rows)
        assert f"'{provider}'" in str(refused.value)
        assert f"'{operation}'" in str(refused.value)
        switch = PROVIDERS[provider].switch_of(operation)
        assert refused.value.switch == switch
        assert not switch or f"{switch} = true" in str(refused.value)
    assert asked == []
    assert nothing_queued(town)


def test_commands_and_look_ups_that_a_dialer_cannot_do_are_refused_at_once_and_nothing_queued(
    town: Town,
) -> None:
    """All cells, without a worker."""
    fleet = town.fleet()
    for provider, word in CANNOT_EITHER:
        asked: Any = fleet if word == "campaigns" else fleet.campaign(f"{provider}/{CAMPAIGNS[provider]}")
        about = [provider] if word == "campaigns" else [[1]] if word in AGENT_WORDS else []
        with pytest.raises(UnsupportedOperation) as refused:
            getattr(asked, word)(*about)
        assert f"'{provider}'" in str(refused.value)
        assert f"'{word}'" in str(refused.value)
    assert nothing_queued(town)
    assert not any(town.client.exists(queue) for queue in QUEUES)


def test_by_name_tasks_without_leads_fail_where_a_dialer_cannot_do_them(town: Town) -> None:
    """All cells at one worker; each names account and operation, nothing enters a lane, no call is made."""
    town.worker()
    app = producer(town)
    for provider, word in CANNOT_EITHER:
        kwargs: dict[str, Any] = {"campaign": f"{provider}/{CAMPAIGNS[provider]}"}
        kwargs |= {"user_ids": [1]} if word in AGENT_WORDS else {}
        kwargs = {"account": provider} if word == "campaigns" else kwargs
        sent = app.send_task(TASKS[word], kwargs=kwargs)
        until(lambda sent=sent: sent.state == "FAILURE")  # type: ignore[misc]
        assert f"'{provider}'" in str(sent.result)
        assert f"'{word}'" in str(sent.result)
    app.close()
    assert nothing_queued(town)
    assert town.sandbox.audit() == []


@pytest.mark.parametrize(("provider", "command", "switch"), COMMANDS)
def test_a_command_that_is_off_is_refused_at_once_and_nothing_queued(
    town: Town, provider: str, command: str, switch: str
) -> None:
    campaign = town.fleet().campaign(f"{provider}/{CAMPAIGNS[provider]}")
    with pytest.raises(UnsupportedOperation, match=rf"'{provider}'.*'{command}'.*{switch} = true"):
        getattr(campaign, command)()
    assert nothing_queued(town)


@pytest.mark.parametrize(("provider", "switch"), LISTS)
def test_a_list_of_campaigns_that_is_off_is_refused_and_comes_when_it_is_on(
    town: Town, provider: str, switch: str
) -> None:
    with pytest.raises(UnsupportedOperation, match=rf"'{provider}'.*'campaigns'.*{switch} = true"):
        town.fleet().campaigns(provider)
    assert nothing_queued(town)
    switch_on(town, provider)
    town.worker()
    send(town, provider, "import", leads(1, name="Ada"))
    assert CAMPAIGNS[provider] in [str(row["id"]) for row in town.fleet().campaigns(provider)]


@pytest.mark.parametrize(("provider", "command", "_switch"), COMMANDS)
def test_a_command_that_is_switched_on_is_reached(
    town: Town, provider: str, command: str, _switch: str
) -> None:
    switch_on(town, provider)
    town.worker()
    send(town, provider, "import", leads(1, name="Ada"))
    campaign = town.fleet().campaign(f"{provider}/{CAMPAIGNS[provider]}")
    states = REACHED[provider]
    others = [other for other in states if other != command]
    for asked in (*others, command, command):
        said = getattr(campaign, asked)().wait(timeout=60)
        assert (said["outcome"], said["state"]) == ("reached", states[asked]), said
    kept_every_rule(town, provider)


def test_a_start_that_the_dialer_refuses_in_a_2xx_is_no_start(town: Town) -> None:
    """Voicery says `success: false`: its campaign has no leads."""
    switch_on(town, "voicery")
    town.worker()
    campaign = town.fleet().campaign("voicery/4")
    assert campaign.stop().wait(timeout=60)["state"] == "stopped"
    said = campaign.start().wait(timeout=60)
    assert (said["outcome"], said["state"]) == ("rejected", "stopped")


def test_what_a_file_brought_is_uncertain_if_its_answer_is_lost_and_is_not_sent_again(town: Town) -> None:
    switch_on(town, "dialnexa")
    town.sandbox.fault("drop_after", match={"dialer": "dialnexa", "operation": "upload_file"}, times=1)
    town.worker()
    progress = send(town, "dialnexa", "upload", leads(1500, name="Ada"))
    assert (progress["uncertain"], progress["created"]) == (1000, 500)
    assert [record["operation"] for record in town.sandbox.audit()] == ["upload_file"] * 2
    assert len(held(town, "dialnexa")) == 1500
    kept_every_rule(town, "dialnexa")
    nothing_left_over(town)


def test_numbers_that_spoil_a_file_are_rejected_and_the_others_brought(town: Town) -> None:
    switch_on(town, "dialnexa")
    town.worker()
    blocked = [{"phone_number": f"+8816234{i:05}", "name": "Ada"} for i in range(3)]
    progress = send(town, "dialnexa", "upload", [*leads(20, name="Ada"), *blocked])
    assert (progress["created"], progress["rejected"]) == (20, 3)
    assert len(town.sandbox.audit()) == 2
    assert len(held(town, "dialnexa")) == 20


def test_leads_are_re_queued_in_calls_of_their_own_and_never_twice(town: Town) -> None:
    town.sandbox.change(voiceaiwrapper_visible_after_s=0)
    town.worker()
    send(town, "voiceaiwrapper", "import", leads(30, name="Ada Low"))
    until(lambda: len(held(town, "voiceaiwrapper")) == 30)
    marked = [
        {**lead, **({"mark_as_unanswered": True} if i % 3 == 0 else {})} for i, lead in enumerate(leads(30))
    ]
    rows = [lead if "mark_as_unanswered" in lead else {**lead, "name": "Bob"} for lead in marked]
    # The first call has those to be called again, and loses its answer.
    town.sandbox.fault("drop_after", match={"operation": "mark_as_unanswered"}, times=1)
    progress = send(town, "voiceaiwrapper", "update", rows)
    assert (progress["updated"], progress["uncertain"]) == (20, 10)
    _, *calls = [(record["operation"], record["size"]) for record in town.sandbox.audit()]
    assert calls == [("mark_as_unanswered", 10), ("update", 20)]
    kept_every_rule(town, "voiceaiwrapper")


def test_an_add_is_sent_again_where_the_account_says_that_duplicates_are_ignored(town: Town) -> None:
    switch_on(town, "voiceaiwrapper")
    town.account(
        "voiceaiwrapper", provider="voiceaiwrapper", rate="50/s", import_gap_s="0", leads_per_call="20"
    )
    town.sandbox.fault("drop_after", match={"dialer": "voiceaiwrapper", "operation": "import"}, times=1)
    town.worker()
    progress = send(town, "voiceaiwrapper", "import", leads(50, name="Ada"))
    assert progress["accepted"] == 50
    sizes = [record["size"] for record in town.sandbox.audit() if record["operation"] == "import"]
    assert sizes == [20, 20, 20, 10]
    until(lambda: len(held(town, "voiceaiwrapper")) == 50)
    figures = town.sandbox.verify()["dialers"]["voiceaiwrapper"]
    assert (figures["stored_twice"], figures["breaches"]) == (0, 0)


def test_a_file_from_the_command_line(town: Town) -> None:
    switch_on(town, "dialnexa")
    town.worker()
    file = "phone_number,name\n" + "".join(f"{number(i)},Ada\n" for i in range(1, 4))
    brought = town.run("import", "-", "-c", "dialnexa/cmp_3", "--as-file", "--wait", "--json", stdin=file)
    assert brought.returncode == 0, brought.stderr
    assert '"created": 3' in brought.stdout
    removed = town.run("remove", "-", "-c", "dialnexa/cmp_3", "--wait", "--json", stdin=file)
    assert '"rejected": 3' in removed.stdout


def test_duplicates_are_to_be_updated_only_where_the_dialer_has_updates(town: Town) -> None:
    with pytest.raises(UnsupportedOperation, match=r"'voicery'.*'update'"):
        town.fleet().campaign("voicery/3").import_leads(leads(3), on_duplicate="update")
    assert nothing_queued(town)


def test_by_name_tasks_for_what_a_dialer_cannot_do_fail_and_put_nothing_into_a_lane(town: Town) -> None:
    """All cells at one worker."""
    town.worker()
    app = producer(town)
    for provider, operation in CANNOT:
        kwargs = {"campaign": f"{provider}/{CAMPAIGNS[provider]}", "leads": [*leads(3)]}
        sent = app.send_task(f"leadlane.leads.{operation}", kwargs=kwargs)
        until(lambda sent=sent: sent.state == "FAILURE")  # type: ignore[misc]
        assert f"'{operation}'" in str(sent.result)
    app.close()
    assert nothing_queued(town)
    assert town.sandbox.audit() == []


def nothing_queued(town: Town) -> bool:
    return not any(town.client.keys(f"leadlane:{kind}:*") for kind in ("t", "pay", "wait", "job"))


def test_a_lead_that_another_fleet_brought_cannot_be_named_to_a_dialer_that_goes_by_ids(town: Town) -> None:
    town.worker()
    progress = send(town, "dialnexa", "remove", [number(1)])
    assert progress["rejected"] == progress["leads"] == 1
    assert town.sandbox.audit() == []


@pytest.mark.parametrize(
    ("provider", "size"),
    [
        *((name, 60) for name in ("dialnexa", "voicery")),
        *(
            pytest.param(name, 1000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])
            for name in ("dialnexa", "voicery")
        ),
    ],
)
def test_lost_answers_and_a_killed_worker_double_nothing(town: Town, provider: str, size: int) -> None:
    """As many leads in one batch as in tasks of one lead each; one answer in a hundred is lost, a worker dies."""
    town.env |= {"LEADLANE_LEASE_S": "3", "LEADLANE_VISIBILITY_TIMEOUT_S": "5"}
    share = 0.01 if size >= 1000 else 0.05
    town.sandbox.fault("drop_after", match={"dialer": provider, "operation": "import"}, probability=share)
    victim = town.worker("victim", concurrency=6)
    address = f"{provider}/{CAMPAIGNS[provider]}"
    app = producer(town)
    singles: list[AsyncResult[Any]] = [
        app.send_task("leadlane.leads.import", kwargs={"campaign": address, "leads": [lead]})
        for lead in leads(size, name="Ada")
    ]
    batch = town.fleet().campaign(address).import_leads(leads(size, start=size + 1, name="Ada"))
    until(lambda: len(town.sandbox.audit()) > size // 2, within_s=300)
    town.worker("survivor", concurrency=6)
    victim.kill()
    progress = batch.wait(timeout=300)
    returned = results(town, [single.id for single in singles], within_s=300)
    app.close()

    told: Counter[str] = Counter()
    for outcomes in (progress, *returned.values()):
        told.update({name: outcomes.get(name, 0) for name in ("created", "uncertain", "leads")})
    assert told["leads"] == told["created"] + told["uncertain"] == 2 * size, (progress, told)
    died_with_an_answer = PROVIDERS[
        provider
    ].parallel  # at most one a line: it came, and nobody was left to note it
    kept_every_rule(town, provider, resent_after_answer=died_with_an_answer if provider == "voicery" else 0)
    calls = [record for record in town.sandbox.audit() if record["operation"] == "import"]
    at_the_dialer = town.sandbox.leads(CAMPAIGNS[provider], provider)
    assert all(of["stored"] == 1 for of in at_the_dialer.values())
    if provider == "voicery":
        assert told["uncertain"] == 0
        assert len(at_the_dialer) == 2 * size
    else:
        assert all(of["sent"] == 1 for of in at_the_dialer.values())
        lost = sum(not record["answered"] for record in calls)
        # Those in the air when the worker died, one a line, may have been marked and not sent, or just answered.
        assert lost <= told["uncertain"] <= lost + PROVIDERS[provider].parallel
        uncertain = {row["phone_number"] for row in batch.report() if row["outcome"] == "uncertain"}
        assert len(uncertain) == progress.get("uncertain", 0)
    nothing_left_over(town)


def test_update_and_remove_from_the_command_line(town: Town) -> None:
    town.worker()
    send(town, "dialnexa", "import", leads(5, name="Ada Low"))
    file = "phone_number,name,do_not_call\n" + "".join(f"{number(i)},Bob High,true\n" for i in range(1, 4))
    # No field for opt-outs there: who asked not to be called is not updated, but may be removed.
    updated = town.run("update", "-", "-c", "dialnexa/cmp_3", "--wait", stdin=file.replace(",true", ","))
    assert updated.returncode == 0, updated.stderr
    removed = town.run("remove", "-", "-c", "dialnexa/cmp_3", "--wait", "--json", stdin=file)
    assert removed.returncode == 0, removed.stderr
    assert '"removed": 3' in removed.stdout
    assert "cannot carry" not in removed.stderr
    assert len(held(town, "dialnexa")) == 2
    refused = town.run("remove", "-", "-c", "voiso/3", stdin=file)
    assert refused.returncode == 2
    assert "'voiso'" in refused.stderr
    assert "'remove'" in refused.stderr
