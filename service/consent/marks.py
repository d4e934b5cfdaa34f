"""How a person is recognised without being named: HMACs of what identifies them, under the installation's own key; pure."""

import hashlib
import hmac
import unicodedata
from collections.abc import Iterable
from datetime import date

import msgspec

from service.patients import identity
from service.patients.model import CITIZEN_NUMBER, Identifier, Patient


class Features(msgspec.Struct, frozen=True):
    """What somebody may be recognised by, as it was said of them: kept nowhere."""

    identifiers: tuple[Identifier, ...] = ()
    phones: tuple[str, ...] = ()
    name: str | None = None
    birth_date: date | None = None


def of_patient(patient: Patient) -> Features:
    return Features(patient.identifiers, (patient.phone,) if patient.phone else (), patient.name, patient.birth_date)


def marks(features: Features, key: bytes) -> frozenset[bytes]:
    """One mark for each citizen number and telephone, and one for the name with the birth date: a name alone is many
    people's. A hospital's own numbers mean nothing elsewhere."""
    said = [f"number:{identity.normalised(i).value}" for i in features.identifiers if i.system == CITIZEN_NUMBER]
    said += [f"phone:{digits}" for phone in features.phones if len(digits := _digits(phone)) >= 7]
    if features.name and features.birth_date and (name := _letters(features.name)):
        said.append(f"person:{name}:{features.birth_date.isoformat()}")
    return frozenset(hmac.new(key, each.encode(), hashlib.sha256).digest() for each in said)


def alike(one: Iterable[bytes], other: Iterable[bytes]) -> bool:
    return not frozenset(one).isdisjoint(other)


def _digits(phone: str) -> str:
    # With and without the country's code it is one number.
    return "".join(letter for letter in unicodedata.normalize("NFKC", phone) if letter.isdigit())[-11:]


def _letters(name: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKC", name).casefold() if letter.isalpha())
