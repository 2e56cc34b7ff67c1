"""`leadlane init`: a commented leadlane.toml, from three questions or from options."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer

from leadlane.schemas.errors import BadFile, WrongUse, did_you_mean

from . import output

PLACES: Final = {
    "voiso": "",
    "dialnexa": "https://api.dialnexa.com",
    "voicery": "https://app.voicery.ai",
    "voiceaiwrapper": "https://api.voiceaiwrapper.app",
}
"""Address of each dialer; that of Voiso depends on the cluster, https://CLUSTER.voiso.com."""

# Stricter than what the settings take: capitals, so that a key pasted here by mistake is not taken for a name.
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*")
_REFERENCE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")
_CLUSTER: Final = re.compile(r"[A-Za-z0-9-]+")

TEMPLATE: Final = """\
# Settings of Leadlane. Every key is an environment variable too, and the environment wins:
# redis_url is LEADLANE_REDIS_URL, rate of the account below is LEADLANE_ACCOUNTS__{variable}__RATE.
# Only workers need the accounts and their keys; a producer needs the address of Redis and nothing else.

{redis_url}
{redis_password}
# broker_url = "redis://..."             # of Celery's messages and results, where they lie elsewhere
# result_url = "redis://..."
# max_attempts = 12                      # of a batch, before a person has to decide
# max_age_s = 86400                      # likewise, from its first attempt

[accounts.{account}]
provider = {provider}
base_url = {base_url}
# Where the key is, never the key itself: env:NAME, or file:PATH such as file:/run/secrets/voiso
api_key = {api_key}
# rate = ["10/s"]                        # calls of the whole fleet; `leadlane providers` shows what holds without
# max_in_flight = 4                      # calls at once
# max_waiting = 1000000                  # leads that may wait; who brings more waits for room
# max_waiting_per_campaign = 100000      # likewise, of one campaign
# default_region = "DE"                  # of numbers without country code
# import_gap_s = 2.0                     # rest of a campaign between two imports; the dialer's rule without
# timeout_s = 30                         # a call is given up after so many seconds
# lost_call_s = 60                       # and may run on at the dialer for so long
# phone_check = "possible"               # or "valid": refuse numbers that nobody can have
"""


def init(
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="voiso, dialnexa, voicery or voiceaiwrapper.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The dialer's address; of Voiso its cluster is enough.")
    ] = None,
    key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="The environment variable that holds the key.")
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to call the account; as the provider without this."),
    ] = None,
    redis_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Without password; localhost without this.")
    ] = None,
    redis_password: Annotated[
        str | None, typer.Option(metavar="WHERE", help="Where its password is: env:NAME or file:PATH.")
    ] = None,
    file: Annotated[Path, typer.Option(metavar="FILE", help="What to write.")] = Path("leadlane.toml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a commented leadlane.toml: on a terminal it asks what is not given, three questions at most.

    It holds where the key is, never the key.
    """
    from leadlane.schemas.addresses import is_account_name
    from leadlane.schemas.settings_schema import PROVIDERS

    if not force and os.path.lexists(file):
        raise BadFile(str(file), "is there already", "give --force to write over it, or --file for another")
    provider = (provider or _ask("Which dialer? " + ", ".join(PROVIDERS), "--provider", "voiso")).lower()
    if provider not in PROVIDERS:
        raise WrongUse(f"--provider: '{provider[:40]}' is not known; {did_you_mean(provider, PROVIDERS)}")
    question = "Its cluster, or address" if provider == "voiso" else "Its address"
    place = base_url or _ask(question, "--base-url", PLACES[provider])
    if provider == "voiso" and _CLUSTER.fullmatch(place):
        place = f"https://{place.lower()}.voiso.com"
    name = account or provider
    if not is_account_name(name):
        raise WrongUse("--account: is not an account name; use lowercase letters, digits and single dashes")
    variable = name.upper().replace("-", "_")
    key_name = key_env or _ask(
        "Name of the environment variable that holds the key", "--key-env", f"{variable}_KEY"
    )
    if not _VARIABLE.fullmatch(key_name):
        raise WrongUse(  # not echoed: it may be the key
            f"--key-env: is not the name of a variable in capitals; write one such as {variable}_KEY, never the key"
        )
    if redis_url and "@" in redis_url and ":" in redis_url.partition("://")[2].rpartition("@")[0]:
        raise WrongUse(
            "--redis-url: holds a password; leave it out, and say where it is with --redis-password env:NAME"
        )
    if redis_password and not _REFERENCE.fullmatch(redis_password):
        raise WrongUse(
            "--redis-password: says where the password is, env:NAME or file:PATH, never the password itself"
        )
    text = TEMPLATE.format(
        variable=variable,
        account=name,
        provider=_quoted(provider),
        base_url=_quoted(place),
        api_key=_quoted(f"env:{key_name}"),
        redis_url=_line("redis_url", redis_url, "redis://localhost:6379/0"),
        redis_password=_line("redis_password", redis_password, "file:/run/secrets/redis_password"),
    )
    _write(file, text, force=force)
    output.line(f"{file} is written; set {key_name} to the key where workers run, then `leadlane doctor`")


def _ask(question: str, option: str, default: str) -> str:
    if not sys.stdin.isatty():
        raise WrongUse(f"{option} is missing; give it, or run this on a terminal, where it asks")
    answer: str = typer.prompt(question, default=default or None, err=True)
    return answer.strip()


def _line(key: str, value: str | None, example: str) -> str:
    return f"{key} = {_quoted(value)}" if value else f"# {key} = {_quoted(example)}"


def _quoted(text: str) -> str:
    """A TOML string; JSON's are of the same form but for characters beyond the first plane."""
    return json.dumps(text, ensure_ascii=False)


def _write(file: Path, text: str, *, force: bool) -> None:
    """Put the file there once its settings have loaded; raises SettingsError with what is wrong in them."""
    from leadlane.schemas.settings import load_settings

    known = {"LEADLANE_REDIS_PASSWORD": "env:_", "_": "_"}  # it is not to be looked for on this machine
    try:
        with tempfile.TemporaryDirectory(prefix=".leadlane-", dir=file.absolute().parent) as folder:
            draft = Path(folder) / file.name
            draft.write_text(text, encoding="utf-8")
            load_settings(draft, known)
            if force:
                draft.replace(file)
            else:
                os.link(draft, file)  # unlike a rename it fails where somebody else has just written one
    except FileExistsError:
        raise BadFile(str(file), "is there already", "give --force to write over it") from None
    except OSError as exc:
        raise BadFile(str(file), f"cannot be written ({(exc.strerror or '').lower()})") from None
