"""What the environment may say, and that a wrong word is answered with one clear line."""

import ipaddress
from pathlib import Path

import pytest

from adapters import settings
from service.db import address
from service.errors import SetupError


def test_without_any_variable_the_defaults_of_the_contract_hold() -> None:
    assert settings.read({}) == settings.Settings(
        database_url=None,
        owner_database_url=None,
        home=Path(".yuanshe"),
        host="127.0.0.1",
        port=8080,
        webhook_allow=(),
        docs=False,
    )


def test_an_empty_variable_counts_as_unset() -> None:
    names = ["DATABASE_URL", "YUANSHE_OWNER_DATABASE_URL", "YUANSHE_HOME", "HOST", "PORT", "WEBHOOK_ALLOW", "DOCS"]
    assert settings.read(dict.fromkeys(names, "")) == settings.read({})


def test_each_variable_is_read() -> None:
    read = settings.read(
        {
            "DATABASE_URL": "postgresql://a:b@one:5432,two:5433/x",
            "YUANSHE_OWNER_DATABASE_URL": "postgres://o:p@one/x",
            "YUANSHE_HOME": "/srv/yuanshe",
            "HOST": "0.0.0.0",
            "PORT": "9000",
            "WEBHOOK_ALLOW": "127.0.0.0/8, ::1/128",
            "DOCS": "1",
            "YUANSHE_URL": "https://referrals.example.org/yuanshe/",
        }
    )
    assert settings.base_url(read, 9000) == "https://referrals.example.org/yuanshe"
    assert read.database_url == "postgresql://a:b@one:5432,two:5433/x"
    assert read.owner_database_url == "postgres://o:p@one/x"
    assert (read.home, read.attachments) == (Path("/srv/yuanshe"), Path("/srv/yuanshe/attachments"))
    assert (read.host, read.port, read.docs) == ("0.0.0.0", 9000, True)
    assert read.webhook_allow == (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("PORT", "-1"),
        ("PORT", "８０"),
        ("WEBHOOK_ALLOW", "everywhere"),
        ("WEBHOOK_ALLOW", "10.0.0.1/8"),
        ("DOCS", "perhaps"),
        ("DATABASE_URL", "mysql://a:hidden-word@b/c"),
        ("DATABASE_URL", "a b c"),
        ("DATABASE_URL", "postgresql://a:hidden-word@[b/c"),
        ("YUANSHE_OWNER_DATABASE_URL", "x"),
        ("DATABASE_URL_FILE", "/nowhere/at/all"),
        ("RATE_LIMIT", "fast"),
        ("RATE_LIMIT", "-1"),
        ("RATE_LIMIT", "1/2/3"),
        ("CORS_ORIGINS", "portal.example.org"),
        ("CORS_ORIGINS", "https://portal.example.org/"),
        ("CORS_ORIGINS", "https://a:hidden-word@portal.example.org"),
        ("CORS_ORIGINS", "*,https://portal.example.org"),
        ("YUANSHE_URL", "referrals.example.org"),
        ("YUANSHE_URL", "ftp://referrals.example.org"),
        ("YUANSHE_URL", "https://"),
        ("YUANSHE_URL", "https://a:hidden-word@referrals.example.org"),
        ("YUANSHE_URL", "https://referrals.example.org:http"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(name: str, value: str) -> None:
    with pytest.raises(SetupError, match=name) as refused:
        settings.read({name: value})
    assert "hidden-word" not in str(refused.value)


RELAY = {
    "SMTP_URL": "smtp://yuanshe@relay.example.org",
    "SMTP_PASSWORD": "hidden-word",
    "SMTP_FROM": "notices@example.org",
}


def test_a_relay_for_mail_is_read_with_its_usual_ports(tmp_path: Path) -> None:
    sender = "notices@example.org"
    assert settings.read(RELAY).smtp == settings.Smtp(
        "relay.example.org", 587, "starttls", sender, "yuanshe", "hidden-word"
    )
    (tmp_path / "word").write_text("hidden-word\n")
    read = settings.read({"SMTP_URL": "smtps://a%40b@relay.example.org", "SMTP_PASSWORD_FILE": str(tmp_path / "word"),
                          "SMTP_FROM": sender, "SMTP_DOMAINS": "His.example, other.example"})  # fmt: skip
    assert read.smtp == settings.Smtp("relay.example.org", 465, "implicit", sender, "a@b", "hidden-word")
    assert read.reach.mails and read.reach.domains == ("his.example", "other.example")
    plain = settings.read({"SMTP_URL": "smtp://127.0.0.1:2525?tls=none", "SMTP_FROM": sender})
    assert plain.smtp == settings.Smtp("127.0.0.1", 2525, "none", sender)
    assert not settings.read({}).reach.mails


@pytest.mark.parametrize(
    "change",
    [
        {"SMTP_URL": "relay.example.org"},
        {"SMTP_URL": "http://relay.example.org"},
        {"SMTP_URL": "smtp://yuanshe:hidden-word@relay.example.org"},
        {"SMTP_URL": "smtp://yuanshe@relay.example.org?tls=none"},
        {"SMTP_URL": "smtps://relay.example.org?tls=none", "SMTP_PASSWORD": ""},
        {"SMTP_URL": "smtp://yuanshe@relay.example.org?tls=off"},
        {"SMTP_URL": "smtp://relay.example.org:port"},
        {"SMTP_PASSWORD": ""},
        {"SMTP_URL": "smtp://relay.example.org"},
        {"SMTP_FROM": ""},
        {"SMTP_FROM": "Yuanshe <notices@example.org>"},
    ],
)
def test_a_relay_that_is_only_half_described_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(SetupError, match="SMTP_") as refused:
        settings.read(RELAY | change)
    assert "hidden-word" not in str(refused.value)


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://a:b@c/d\n")
    assert settings.read({"DATABASE_URL_FILE": str(tmp_path / "url")}).database_url == "postgresql://a:b@c/d"
    with pytest.raises(SetupError, match="both set"):
        settings.read({"DATABASE_URL_FILE": str(tmp_path / "url"), "DATABASE_URL": "postgresql://a:b@c/d"})


def test_a_given_database_is_used_as_it_is(tmp_path: Path) -> None:
    given = settings.Settings(database_url="postgresql://a@b/c", owner_database_url="postgresql://o@b/c", home=tmp_path)
    with settings.databases(given) as found:
        assert (found.app, found.owner, found.attached) == ("postgresql://a@b/c", "postgresql://o@b/c", None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "public", "password"),
    [
        ("postgresql://a:s%2Fx@h:1/d?sslmode=require", "postgresql://a@h:1/d?sslmode=require", "s/x"),
        ("postgres://a:s@h1:1,h2:2/d", "postgresql://a@h1:1,h2:2/d", "s"),
        ("postgresql://a@/d?host=/run/x&password=s", "postgresql://a@/d?host=/run/x", "s"),
        ("postgresql:///d?host=/run/x", "postgresql:///d?host=/run/x", None),
    ],
)
def test_what_is_shown_of_a_url_never_holds_the_password(url: str, public: str, password: str | None) -> None:
    read = address.read(url)
    assert (read.public, read.password, read.database) == (public, password, "d")


def test_files_lie_at_home_unless_a_folder_is_named() -> None:
    assert settings.read({"YUANSHE_HOME": "/srv/yuanshe"}).attachments == Path("/srv/yuanshe/attachments")
    assert settings.read({"YUANSHE_HOME": "/srv/yuanshe", "YUANSHE_ATTACHMENTS": "/mnt/files"}).attachments == Path(
        "/mnt/files"
    )


def test_who_is_told_when_no_worker_runs_and_what_signs_it_are_read() -> None:
    secret = "whsec_" + "A" * 43 + "="
    to = "mailto:duty@example.org, https://pager.example.org/yuanshe"
    read = settings.read(RELAY | {"ALARM_TO": to, "ALARM_AFTER": "30", "WEBHOOK_SECRET": secret})
    assert read.alarm_to == ("mailto:duty@example.org", "https://pager.example.org/yuanshe")
    assert (read.alarm_after, read.webhook_secret) == (30, secret)
    assert (settings.read({}).alarm_to, settings.read({}).alarm_after, settings.read({}).webhook_secret) == ((), 60, "")


@pytest.mark.parametrize(
    "given",
    [
        {"ALARM_TO": "duty@example.org"},
        {"ALARM_TO": "mailto:duty@example.org"},
        {"ALARM_TO": "ftp://pager.example.org"},
        {"ALARM_AFTER": "0"},
        {"ALARM_AFTER": "a minute"},
        {"WEBHOOK_SECRET": "hidden-word"},
        {"WEBHOOK_SECRET": "whsec_c2hvcnQ="},
    ],
)
def test_an_alarm_that_nobody_would_hear_and_a_secret_that_is_none_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(SetupError, match=next(iter(given))) as refused:
        settings.read(given)
    assert "hidden-word" not in str(refused.value)


def test_the_organisations_own_sign_in(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("between us\n")
    read = settings.read(
        {
            "OIDC_ISSUER": "https://login.example.org/realms/a", "OIDC_CLIENT_ID": "yuanshe", "OIDC_CLIENT_SECRET_FILE": str(tmp_path / "word"),
            "OIDC_CLAIM": "preferred_username", "OIDC_NAME": "市一院",
        }
    ).oidc  # fmt: skip
    assert read == settings.Oidc("https://login.example.org/realms/a", "yuanshe", "between us", "preferred_username", "市一院")  # fmt: skip
    assert "between us" not in repr(read) and settings.read({}).oidc is None
    local = {"OIDC_ISSUER": "http://127.0.0.1:3000", "OIDC_CLIENT_ID": "yuanshe"}
    assert settings.read(local).oidc == settings.Oidc("http://127.0.0.1:3000", "yuanshe")
    for wrong in (
        {"OIDC_CLIENT_ID": "yuanshe"},
        {"OIDC_ISSUER": "https://login.example.org"},
        {"OIDC_ISSUER": "http://login.example.org", "OIDC_CLIENT_ID": "yuanshe"},
        {"OIDC_ISSUER": "login.example.org", "OIDC_CLIENT_ID": "yuanshe"},
        {"OIDC_ISSUER": "https://login.example.org?x=1", "OIDC_CLIENT_ID": "yuanshe"},
        local | {"OIDC_CLAIM": "two words"},
    ):
        with pytest.raises(SetupError, match="OIDC_"):
            settings.read(wrong)
