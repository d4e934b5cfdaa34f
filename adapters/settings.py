"""What the environment says, read once: a wrong value stops the program with one clear line."""

import base64
import ipaddress
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from adapters.pace import Rate
from service.db import address, embedded
from service.errors import SetupError
from service.notices import schedule
from service.notices.reach import Reach, mailbox
from service.practice import Practice

VERSION = version("yuanshe")
"""Of this program, as pyproject.toml says it."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Smtp(msgspec.Struct, frozen=True):
    """The relay that takes our mail. `tls` is `none` only towards a relay that wants no password; `sender` is who the mail
    is from."""

    host: str
    port: int
    tls: Literal["starttls", "implicit", "none"]
    sender: str
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"Smtp({self.host}:{self.port})"


class Oidc(msgspec.Struct, frozen=True):
    """The organisation's own sign-in (OpenID Connect). `claim` names the claim that states an account's login and is trusted to;
    without it accounts are linked one by one. `name` stands on the sign-in page."""

    issuer: str
    client_id: str
    secret: str | None = None
    claim: str | None = None
    name: str | None = None

    def __repr__(self) -> str:
        return f"Oidc({self.issuer})"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The environment; contract.md's table explains each."""

    database_url: str | None = None
    owner_database_url: str | None = None
    home: Path = Path(".yuanshe")
    files: Path | None = None
    scanner: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str | None = None
    webhook_allow: tuple[Network, ...] = ()
    webhook_retry: schedule.Schedule = schedule.DEFAULT
    webhook_timeout: int = 10
    webhook_secret: str = ""
    alarm_to: tuple[str, ...] = ()
    alarm_after: int = 60
    smtp: Smtp | None = None
    smtp_domains: tuple[str, ...] = ()
    docs: bool = False
    demo: Path | None = None
    downtime: Path | None = None
    rate: Rate | None = Rate(1000, 5000)
    cors_origins: tuple[str, ...] = ()
    practice: Practice = Practice()
    hl7: Path | None = None
    oidc: Oidc | None = None

    @property
    def attachments(self) -> Path:
        """Where the content of files lies; every process that answers HTTP has to see the same folder."""
        return self.files or self.home / "attachments"

    @property
    def reach(self) -> Reach:
        """Where notices may go."""
        return Reach(self.webhook_allow, mails=self.smtp is not None, domains=self.smtp_domains)


class Databases(msgspec.Struct, frozen=True):
    """Where the database is: `app` for the service, `owner` for migrations (None where nobody gave it)."""

    app: str
    owner: str | None
    attached: embedded.Attached | None = None


def read(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings. Raises SetupError that names the variable."""
    return Settings(
        database_url=_url(environ, "DATABASE_URL"),
        owner_database_url=_url(environ, "YUANSHE_OWNER_DATABASE_URL"),
        home=Path(environ.get("YUANSHE_HOME") or ".yuanshe").expanduser(),
        files=Path(files).expanduser() if (files := environ.get("YUANSHE_ATTACHMENTS")) else None,
        scanner=_command("ATTACHMENT_SCAN", environ.get("ATTACHMENT_SCAN") or ""),
        host=environ.get("HOST") or "127.0.0.1",
        port=_port(environ.get("PORT") or "8080"),
        public_url=_address(environ.get("YUANSHE_URL")),
        webhook_allow=_networks(environ.get("WEBHOOK_ALLOW") or ""),
        webhook_retry=_schedule(environ.get("WEBHOOK_RETRY") or schedule.WORDS),
        webhook_timeout=_seconds("WEBHOOK_TIMEOUT", environ.get("WEBHOOK_TIMEOUT") or "10"),
        webhook_secret=_signing(_secret(environ, "WEBHOOK_SECRET")),
        alarm_to=_alarms(environ.get("ALARM_TO") or "", mails=bool(environ.get("SMTP_URL"))),
        alarm_after=_seconds("ALARM_AFTER", environ.get("ALARM_AFTER") or "60"),
        smtp=_smtp(environ),
        smtp_domains=tuple(part.strip().lower() for part in environ.get("SMTP_DOMAINS", "").split(",") if part.strip()),
        demo=Path(demo) if (demo := environ.get("YUANSHE_DEMO")) else None,
        downtime=Path(folder).expanduser() if (folder := environ.get("YUANSHE_DOWNTIME")) else None,
        docs=_flag("DOCS", environ.get("DOCS") or ""),
        rate=_rate(environ.get("RATE_LIMIT") or "1000/5000"),
        cors_origins=_origins(environ.get("CORS_ORIGINS") or ""),
        practice=_practice(environ.get("YUANSHE_PRACTICE")),
        hl7=Path(hl7).expanduser() if (hl7 := environ.get("YUANSHE_HL7")) else None,
        oidc=_oidc(environ),
    )


def base_url(settings: Settings, port: int) -> str:
    """The address under which others know this server, which listens at `port`; no slash at its end."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@contextmanager
def databases(settings: Settings) -> Iterator[Databases]:
    """The given database, or the embedded one for as long as the block lasts."""
    if settings.database_url or settings.owner_database_url:
        # With the owner's URL alone there is nothing that the service itself may use; `serve` then refuses the role.
        app = settings.database_url or settings.owner_database_url or ""
        yield Databases(app=app, owner=settings.owner_database_url)
        return
    with embedded.attach(settings.home) as attached:
        yield Databases(app=attached.app_dsn, owner=attached.owner_dsn, attached=attached)


def _secret(environ: Mapping[str, str], name: str) -> str | None:
    """The variable, or the content of the file that `<name>_FILE` names (secrets of containers)."""
    value, file = environ.get(name) or None, environ.get(f"{name}_FILE") or None
    if value and file:
        raise SetupError(f"{name} and {name}_FILE are both set: keep one.")
    if not file:
        return value
    try:
        return Path(file).read_text().strip() or None
    except OSError as error:
        raise SetupError(f"{name}_FILE: {file} cannot be read ({error.strerror}).") from error


def _url(environ: Mapping[str, str], name: str) -> str | None:
    value = _secret(environ, name)
    if value is not None:
        try:
            address.read(value)
        except SetupError as error:
            raise SetupError(f"{name}: {error}") from error
        except ValueError:
            raise SetupError(f"{name} cannot be read as a URL.") from None
    return value


def _address(text: str | None) -> str | None:
    if not text:
        return None
    try:
        parts = urlsplit(text)
        sound = (
            parts.scheme in ("http", "https")
            and parts.hostname
            and not (parts.query or parts.fragment or parts.username)
        )
        sound = sound and parts.port != 0 and text.isascii() and text.isprintable() and " " not in text
    except ValueError:
        sound = False
    if not sound:
        raise SetupError(
            "YUANSHE_URL is the address under which others reach this server, as https://referrals.example.org."
        )
    return text


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise SetupError(f"PORT is a number from 0 to 65535, not {text!r}.")
    return int(text)


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise SetupError(f"WEBHOOK_ALLOW is a list of networks such as 10.0.0.0/8,::1/128: {error}.") from None


def _schedule(text: str) -> schedule.Schedule:
    try:
        return schedule.parse(text)
    except ValueError as error:
        raise SetupError(f"WEBHOOK_RETRY is a list of waits in seconds such as {schedule.WORDS}: {error}.") from None


def _smtp(environ: Mapping[str, str]) -> Smtp | None:
    """SMTP_URL: `smtp://user@host:587` (STARTTLS), `smtps://user@host:465` (TLS from the start), or `smtp://host:25?tls=none` for
    a relay that asks for no password. SMTP_PASSWORD or SMTP_PASSWORD_FILE, and SMTP_FROM, go with it."""
    text, password = environ.get("SMTP_URL") or "", _secret(environ, "SMTP_PASSWORD")
    if not text:
        return None
    form = "SMTP_URL reads smtp://user@host:587 or smtps://user@host:465, the password in SMTP_PASSWORD_FILE"
    try:
        parts = urlsplit(text)
        host, port, user = parts.hostname, parts.port, parts.username
    except ValueError:
        raise SetupError(f"{form}.") from None
    open_ = parts.query == "tls=none"
    if parts.scheme not in ("smtp", "smtps") or not host or parts.password or parts.path.strip("/") or parts.fragment:
        raise SetupError(f"{form}.")
    if (parts.query and not open_) or (open_ and (user or parts.scheme == "smtps")):
        raise SetupError(
            "SMTP_URL takes ?tls=none alone, with smtp:// and without a user: no password is sent in clear."
        )
    if (user is None) != (password is None):
        raise SetupError(
            "SMTP_URL names a user where SMTP_PASSWORD or SMTP_PASSWORD_FILE has the password, and only there."
        )
    sender = environ.get("SMTP_FROM") or ""
    if mailbox(f"mailto:{sender}") is None:
        raise SetupError("SMTP_FROM is the address that mail comes from, as notices@example.org.")
    tls = "implicit" if parts.scheme == "smtps" else "none" if open_ else "starttls"
    usual = {"implicit": 465, "starttls": 587, "none": 25}[tls]
    return Smtp(host, port or usual, tls, sender, unquote(user) if user else None, password)


def _oidc(environ: Mapping[str, str]) -> Oidc | None:
    """The provider that OIDC_ISSUER names, with what it knows this service by."""
    issuer, client = environ.get("OIDC_ISSUER") or "", environ.get("OIDC_CLIENT_ID") or ""
    secret, claim = _secret(environ, "OIDC_CLIENT_SECRET"), environ.get("OIDC_CLAIM") or None
    if not issuer:
        if client or secret or claim:
            raise SetupError(
                "OIDC_ISSUER is missing: it names the provider that OIDC_CLIENT_ID and the others are about."
            )
        return None
    try:
        parts = urlsplit(issuer)
        # Whoever stands between could say who anybody is: only this machine itself is spoken to in clear.
        safe = parts.scheme == "https" or (
            parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
        )
        sound = (
            safe
            and parts.hostname
            and not (parts.query or parts.fragment or parts.username)
            and issuer.isascii()
            and issuer.isprintable()
        )
    except ValueError:
        sound = False
    if not sound:
        raise SetupError(
            "OIDC_ISSUER is the https address of the provider, as https://login.example.org/realms/hospital."
        )
    if not client:
        raise SetupError("OIDC_CLIENT_ID is the name under which the provider knows this service.")
    if claim and not (claim.isascii() and claim.isprintable() and " " not in claim):
        raise SetupError("OIDC_CLAIM is the name of one claim, as preferred_username.")
    return Oidc(issuer, client, secret, claim, environ.get("OIDC_NAME") or None)


def _signing(text: str | None) -> str:
    """What signs calls and alarms (Standard Webhooks); a subscriber's notices are signed by its own secret."""
    if text is None:
        return ""
    try:
        if text.startswith("whsec_") and 24 <= len(base64.b64decode(text[6:], validate=True)) <= 64:
            return text
    except ValueError:
        pass
    raise SetupError("WEBHOOK_SECRET is whsec_ and base64 of 24 to 64 random bytes (Standard Webhooks).")


def _alarms(text: str, *, mails: bool) -> tuple[str, ...]:
    """Who is told when no worker runs: webhooks, and mailboxes where there is a relay."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for each in found:
        if mailbox(each) is None and not each.startswith(("https://", "http://")):
            raise SetupError("ALARM_TO is a list such as mailto:duty@example.org,https://pager.example.org/yuanshe.")
        if each.startswith("mailto:") and not mails:
            raise SetupError("ALARM_TO names a mailbox, and there is no SMTP_URL to send mail by.")
    return found


def _seconds(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 300:
        raise SetupError(f"{name} is a number of seconds from 1 to 300, not {text!r}.")
    return int(text)


def _rate(text: str) -> Rate | None:
    """Requests a second, and after a slash how many at once (as many as in a second where that is not said); 0 for no limit."""
    each_second, _, burst = text.partition("/")
    parts = (each_second.strip(), burst.strip() or each_second.strip())
    if not all(part.isascii() and part.isdigit() and len(part) <= 6 for part in parts):
        raise SetupError(f"RATE_LIMIT is requests a second and at once, such as 1000/5000, or 0, not {text!r}.")
    return Rate(int(parts[0]), max(1, int(parts[1]))) if int(parts[0]) else None


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        try:
            parts = urlsplit(origin)
            sound = (
                parts.scheme in ("http", "https") and origin == f"{parts.scheme}://{parts.netloc}" and parts.hostname
            )
            sound = sound and "@" not in parts.netloc and parts.port != 0 and origin.isascii() and origin.isprintable()
        except ValueError:
            sound = False
        if not sound and origins != ("*",):
            raise SetupError(
                "CORS_ORIGINS is a list of origins such as https://portal.example.org, or * for every page."
            )
    return origins


def _practice(file: str | None) -> Practice:
    """The deployment's own limits, hours and calendar, as a JSON file of `service.practice.Practice`; else the defaults."""
    if not file:
        return Practice()
    try:
        return msgspec.json.decode(Path(file).read_bytes(), type=Practice)
    except OSError as error:
        raise SetupError(f"YUANSHE_PRACTICE: {file} cannot be read ({error.strerror}).") from error
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise SetupError(f"YUANSHE_PRACTICE: {file}: {error}") from None


def _command(name: str, text: str) -> tuple[str, ...]:
    """A command as a shell would take it apart, but no shell runs it."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise SetupError(f"{name} is a command such as 'clamdscan --fdpass --no-summary {{}}': {error}.") from None
    if words and shutil.which(words[0]) is None:
        raise SetupError(f"{name}: there is no program {words[0]} that could be run.")
    return words


def _flag(name: str, text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    raise SetupError(f"{name} is 1 or 0, not {text!r}.")
