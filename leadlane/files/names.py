"""What the columns of other people's files are called: a table of names per field, and how a name is read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NAMES: Final[Mapping[str, str]] = {
    "phone_number": """
        phone_number phone phonenumber phone_no phone_num telephone telephone_number tel tel_no tel_nr contact_number
        number_to_call mobile mobile_phone mobile_phone_number mobile_number mobile_no mob cell cell_phone cellphone
        cell_number msisdn whatsapp whatsapp_number primary_phone home_phone work_phone business_phone
        telefon telefonnummer telefonnr telefon_nr rufnummer handy handynummer mobil mobilnummer mobiltelefon festnetz
        telephone_portable portable numero_de_telephone numero_telephone no_de_telephone mobile_telephone
        telefono numero_de_telefono numero_telefono telefono_movil movil celular telefono_celular
        cellulare numero_di_telefono telefono_cellulare telefone telemovel numero_de_telefone
        telefoonnummer telefoon mobiel mobiele_nummer gsm telefon_numarasi cep_telefonu numer_telefonu komorka
        puhelin puhelinnumero телефон номер_телефона мобильный 電話番号 電話 携帯電話 电话 手机 手机号 전화번호""",
    "name": """
        name full_name fullname contact_name customer_name lead_name display_name
        vollstandiger_name kontaktname kunde nom_complet nombre_completo nome_completo volledige_naam naam
        imie_i_nazwisko ad_soyad имя_и_фамилия фио 氏名 名前 姓名""",
    "first_name": """
        first_name firstname given_name givenname forename vorname prenom nombre nome voornaam imie isim имя""",
    "last_name": """
        last_name lastname surname family_name familyname nachname familienname nom_de_famille nom apellido apellidos
        cognome sobrenome achternaam nazwisko soyad soyadi фамилия""",
    "email": """
        email e_mail mail email_address e_mail_address emailaddress e_mail_adresse mailadresse adresse_e_mail courriel
        correo correo_electronico indirizzo_email e_posta эл_почта メールアドレス""",
    "country_code": """
        country_code countrycode country_iso iso_country country_iso_code phone_country dialing_code calling_code
        country land pays pais paese landesvorwahl landerkennzeichen laendercode landercode""",
    "priority": "priority prio prioritat prioritaet priorite prioridad priorita prioriteit priorytet oncelik приоритет",
    "active": "active aktiv actif activo attivo ativo actief aktywny aktif enabled is_active",
    "do_not_call": """
        do_not_call donotcall dnc do_not_phone opt_out optout opted_out phone_opt_out nicht_anrufen werbesperre
        ne_pas_appeler no_llamar non_chiamare""",
    "allow_duplicate": "allow_duplicate allow_duplicates",
    "external_id": """
        external_id externalid record_id lead_id contact_id customer_id crm_id id kundennummer kunden_id""",
    "source": "source lead_source quelle lead_quelle origine fuente fonte",
    "context_headers": "context_headers",
    "variables": "variables",
    "secondary_contacts": "secondary_contacts",
    "variables.company": """
        company company_name organization organisation account_name firma firmenname unternehmen societe entreprise
        empresa azienda bedrijf sirket компания 会社名""",
    "": "outcome reason",  # what our own report has put beside a row
}
"""Field (or name within an object), and what a column of it may be called; "" is what no lead has."""

PHONE_WORDS: Final = _words(
    "phone telephone tel telefon telefono telefone mobile mobil handy cell cellphone rufnummer telefonnummer "
    "telefoonnummer whatsapp телефон"
)
NO_NUMBERS: Final = _words(
    "type typ kind country code ext extension status id opt optin optout out in consent valid validated verified "
    "carrier region label time date zone provider model brand plan name fax notes note do not"
)
"""Beside a word for phone: the column tells about the number, it is none ("Phone Type")."""

YES: Final = _words("true yes y 1 on ja wahr j oui vrai si verdadero vero sim tak evet da да active aktiv")
NO: Final = _words("false no n 0 off nein falsch non faux falso nao nie hayir nee net нет inactive inaktiv")
PRIORITIES: Final[Mapping[str, int]] = {
    word: number
    for number, words in {
        1: "highest urgent top critical dringend hochste sehr_hoch urgente",
        100: "high hoch haute elevee alta alto hoog wysoki yuksek важный",
        500: "medium normal mid middle mittel moyenne media media_alta gemiddeld sredni orta",
        900: "low niedrig gering basse faible baja bassa laag niski dusuk",
        1000: "lowest sehr_niedrig",
    }.items()
    for word in words.split()
}
"""Words for a priority, in the dialers' numbers: 1 is called first, 1000 last."""


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """The text without case, accents and punctuation: ``Prioritat`` for ``PRIORITÄT:``, words joined by ``_``."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(c for c in letters if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "_", bare).strip("_")


FIELD_OF: Final[Mapping[str, str]] = {
    plain(name): field for field, names in NAMES.items() for name in names.split()
}


@lru_cache(maxsize=4096)
def field_of(name: str) -> str | None:
    """The field that a column of this name means; None if it is no name we know, "" if it is nothing for a lead."""
    known = plain(name)
    if known in FIELD_OF:
        return FIELD_OF[known]
    words = set(known.split("_"))
    return "phone_number" if words & PHONE_WORDS and not words & NO_NUMBERS else None
