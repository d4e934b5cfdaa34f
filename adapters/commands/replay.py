"""`yuanshe replay`: sends what a system would send, and explains each refusal beside a corrected example."""

import json
import re
from pathlib import Path
from typing import Any

import click
import httpx
import msgspec

from adapters import settings
from adapters.fhir import examples
from service.errors import SetupError

FHIR_JSON = "application/fhir+json"
LONGEST = 60.0
"""Seconds for an answer."""
WIDEST = 1_500
"""Letters of a value that are shown: it is there to be compared, not to be read whole."""


@click.command("replay")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--to", "url", help="Address of the FHIR surface, http://host:port/fhir; else the running demo's.")
@click.option("--as", "party", default="his-a", show_default=True, help="The demo's client that sends it.")
@click.option(
    "--token-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="File with an access token."
)
@click.option("--validate", is_flag=True, help="Ask for all that is wrong ($validate); nothing is stored.")
def command(file: Path, url: str | None, party: str, token_file: Path | None, validate: bool) -> None:
    """Send FILE, a Bundle or a single resource in JSON, to a running service, and say what became of each part.

    Where something is refused: which element, why, what was sent there, and what would have been taken. Ends with 1 then.
    """
    content = _content(file)
    url, token = _where(url, party, token_file)
    if validate:
        # Each by itself: what was sent, under which type, and where it stands.
        judged = [_validated(url, token, resource, at) for at, resource in _resources(content)]
        raise SystemExit(1 if any(judged) else 0)
    path = _path(content)
    answer = _send(url, path, token, content)
    refused = tell(content, path, answer.status_code, answer.headers.get("location"), _said(url, answer))
    raise SystemExit(1 if refused else 0)


def _content(file: Path) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(file.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise SetupError(f"{file} is not JSON: {fault}.") from None
    if not isinstance(content, dict) or not isinstance(content.get("resourceType"), str):
        raise SetupError(f"{file} holds no resource: a JSON object with a resourceType.")
    return content


def _where(url: str | None, party: str, token_file: Path | None) -> tuple[str, str]:
    """The address and a token: given, or those of the demo that runs on this machine."""
    given = _token(token_file) if token_file else None
    if url and given:
        return url.rstrip("/"), given
    file = settings.read().home / "demo.json"
    try:
        demo = json.loads(file.read_text())
    except (OSError, ValueError):
        raise SetupError(f"{file} cannot be read. Start the demo, or give --to and --token-file.") from None
    if party not in demo["clients"]:
        raise SetupError(f"The demo has no client {party}; it has {', '.join(demo['clients'])}.")
    return (url or demo["fhir_url"]).rstrip("/"), given or demo["clients"][party]["access_token"]


def _token(file: Path) -> str:
    token = file.read_text().strip()
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise SetupError(f"{file} holds no access token: one line of letters, without blanks.")
    return token


def _resources(content: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """What there is to validate, with its place: of a Bundle each entry's resource, else the resource itself."""
    if content["resourceType"] != "Bundle":
        return [("", content)]
    entries: Any = content.get("entry")
    found: list[tuple[str, dict[str, Any]]] = [
        (f"entry[{position}] ", entry["resource"])
        for position, entry in enumerate(entries if isinstance(entries, list) else ())
        if isinstance(entry, dict)
        and isinstance(entry.get("resource"), dict)
        and isinstance(entry["resource"].get("resourceType"), str)
    ]
    if not found:
        raise SetupError("The Bundle holds no resource to validate.")
    return found


def _validated(url: str, token: str, resource: dict[str, Any], at: str) -> bool:
    """One resource's $validate, told; whether something is wrong with it."""
    path = f"{resource['resourceType']}/$validate"
    answer = _send(url, path, token, resource)
    return tell(resource, path, answer.status_code, None, _said(url, answer), at)


def _path(content: dict[str, Any]) -> str:
    """Where it is sent: a transaction or batch to the surface itself, anything else to its type."""
    type = content["resourceType"]
    if type == "Bundle" and content.get("type") in ("transaction", "batch", None):
        return ""
    if type == "Bundle":
        raise SetupError(
            "A Bundle is sent as a transaction or a batch: its type says which, and each entry has a request."
        )
    return type


def _send(url: str, path: str, token: str, content: dict[str, Any]) -> httpx.Response:
    try:
        return httpx.post(
            f"{url}/{path}".rstrip("/"), content=msgspec.json.encode(content), timeout=LONGEST,
            headers={"authorization": f"Bearer {token}", "content-type": FHIR_JSON, "accept": FHIR_JSON},
        )  # fmt: skip
    except httpx.HTTPError as fault:
        raise SetupError(f"{url} cannot be reached ({type(fault).__name__}); does the service run there?") from None


def _said(url: str, answer: httpx.Response) -> dict[str, Any]:
    """What was answered. Only FHIR's JSON says that something was taken, or why not."""
    try:
        said: Any = answer.json() if answer.content else {}
    except ValueError:
        said = None
    of_fhir = isinstance(said, dict) and ("resourceType" in said or (not said and answer.status_code < 400))
    if not of_fhir:
        raise SetupError(f"{url} answered {answer.status_code}, and not in FHIR's JSON; is it the FHIR surface?")
    return said


def tell(
    content: dict[str, Any], path: str, status: int, location: str | None, said: dict[str, Any], at: str = ""
) -> bool:
    """Print what became of it; whether any part was refused. `at`: where in a file of several it stands."""
    if said.get("resourceType") == "OperationOutcome":
        good = status < 400 and all(issue["severity"] in ("information", "warning") for issue in said["issue"])
        click.echo(f"{status} {'taken' if good else 'refused'}: {at}{path or 'the Bundle'}")
        for issue in said["issue"]:
            _explain(issue, content, "Bundle" if not path else content["resourceType"])
        return not good
    if said.get("resourceType") != "Bundle" or path:
        click.echo(f"{status} taken: {location or path}")
        return False
    refused = False
    for position, entry in enumerate(said.get("entry", ())):
        response = entry["response"]
        outcome: dict[str, Any] = response.get("outcome", {})
        bad = response["status"] >= "4"
        refused = refused or bad
        click.echo(
            f"{response['status'][:3]} entry[{position}] {response.get('location') or _named(content, position)}"
        )
        for issue in outcome.get("issue", ()):
            _explain(issue, content["entry"][position].get("resource", {}), _named(content, position))
    return refused


def _named(content: dict[str, Any], position: int) -> str:
    entries = content.get("entry") or []
    return entries[position].get("resource", {}).get("resourceType", "?") if position < len(entries) else "?"


def _explain(issue: dict[str, Any], content: dict[str, Any], type: str) -> None:
    """One issue: the words, then what was sent at its place beside an example of what is taken there."""
    mark = {"error": "✗", "fatal": "✗", "warning": "!"}.get(issue["severity"], "·")
    place = next(iter(issue.get("expression", ())), None)
    click.echo(f"  {mark} {issue.get('details', {}).get('text', issue['code'])}" + (f"  [{place}]" if place else ""))
    # Another body changes nothing where the sender is not let in.
    if place is None or mark == "·" or issue["code"] in ("forbidden", "login"):
        return
    steps = examples.steps(place)[1:]
    sent = examples.value_at(content, list(steps))
    if steps[:1] == ["entry"] and "resource" in steps:
        inner = steps.index("resource") + 1
        held = examples.value_at(content, list(steps[:inner]))
        type, steps = (held or {}).get("resourceType", type), steps[inner:]
    _show("sent", sent)
    _show("taken would be", examples.corrected(type, list(steps)))
    if what := examples.words(type, list(steps)):
        click.echo(f"      R4: {what}")


def _show(name: str, value: Any) -> None:
    if value is None:
        click.echo(f"      {name}: nothing")
        return
    text = json.dumps(value, ensure_ascii=False, indent=2 if isinstance(value, dict | list) else None)
    text = text if len(text) <= WIDEST else text[:WIDEST] + " …"
    click.echo(f"      {name}: " + text.replace("\n", "\n        "))
