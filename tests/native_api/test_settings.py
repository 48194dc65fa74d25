"""Settings: options before the environment before the defaults, and what cannot be is refused."""

from __future__ import annotations

from dataclasses import asdict, fields

import pytest

from native_api.core.errors import Invalid
from native_api.settings import LOOPBACK, PREFIX, Settings

POSTGRES = "postgresql://somebody@localhost/tracking"
OTHERS = {
    "host": "localhost",
    "port": 8080,
    "workers": 2,
    "database_url": POSTGRES,
    "artifact_root": "s3://bucket/path",
    "artifacts_destination": "/var/files",
    "proxy_only": True,
    "migrate": True,
    "access": "required",
    "allowed_hosts": "tracking.example.org,10.0.0.1",
    "static_prefix": "/ml/flow",
    "registration": "closed",
    "secret_key": "k" * 40,
    "secret_key_file": "/var/secret.key",
    "token_minutes": 5,
    "admin_email": "admin@example.org",
    "admin_password": "correct horse",
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in fields(Settings):
        monkeypatch.delenv(PREFIX + field.name.upper(), raising=False)


def test_without_a_word_the_server_is_for_this_machine_alone() -> None:
    assert Settings.from_env() == Settings()
    assert Settings().host in LOOPBACK


def test_every_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert OTHERS.keys() == asdict(Settings()).keys()
    for name, value in OTHERS.items():
        monkeypatch.setenv(PREFIX + name.upper(), str(value))
    assert asdict(Settings.from_env()) == OTHERS


def test_every_setting_is_an_option_which_counts_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in asdict(Settings()).items():
        monkeypatch.setenv(PREFIX + name.upper(), str(value))
    given = {name: value if isinstance(value, int) else str(value) for name, value in OTHERS.items()}
    assert asdict(Settings.from_env(given)) == OTHERS
    assert Settings.from_env(dict.fromkeys(OTHERS)) == Settings()


@pytest.mark.parametrize(
    ("written", "meant"), [("1", True), ("true", True), ("Yes", True), ("0", False), ("no", False), ("", False)]
)
def test_to_migrate_is_yes_or_no(monkeypatch: pytest.MonkeyPatch, written: str, meant: bool) -> None:
    monkeypatch.setenv("MLFLOW_SHIM_MIGRATE", written)
    assert Settings.from_env().migrate is meant


# Access


@pytest.mark.parametrize("host", LOOPBACK)
def test_on_this_machine_access_is_open_unless_it_is_said_to_be_required(host: str) -> None:
    assert Settings(host=host).is_open
    assert Settings(host=host, access="open").is_open
    assert not Settings(host=host, access="required").is_open


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", ""])
def test_for_others_access_needs_credentials_and_cannot_be_open(host: str) -> None:
    assert not Settings.from_env({"host": host}).is_open
    with pytest.raises(Invalid, match="only for this machine"):
        Settings.from_env({"host": host, "access": "open"})


def test_settings_show_no_secret() -> None:
    shown = repr(Settings(secret_key="k" * 40, admin_email="admin@example.org", admin_password="correct horse"))
    assert "admin@example.org" in shown
    assert "kkk" not in shown
    assert "horse" not in shown


# What is refused


@pytest.mark.parametrize("host", LOOPBACK)
def test_each_name_of_this_machine_will_do(host: str) -> None:
    assert Settings.from_env({"host": host}).host == host


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"port": -1}, "port"),
        ({"port": 65536}, "port"),
        ({"port": "x"}, "not a number"),
        ({"port": ""}, "not a number"),
        ({"workers": 0}, "worker"),
        ({"workers": "1.5"}, "not a number"),
        ({"workers": 2}, "PostgreSQL for more than one worker"),
        ({"workers": 2, "database_url": "sqlite:////var/x.db"}, "PostgreSQL for more than one worker"),
        ({"access": "closed"}, "open or required"),
        ({"access": "Open"}, "open or required"),
        *(({"static_prefix": prefix}, "static prefix") for prefix in ("mlflow", "/", "/a/", "/a b", "//a", "/a?b")),
        ({"allowed_hosts": "example.org"}, "allowed hosts"),
        ({"registration": "required"}, "open or closed"),
        ({"registration": ""}, "open or closed"),
        ({"token_minutes": 0}, "1 minute and a year"),
        ({"token_minutes": -5}, "1 minute and a year"),
        ({"token_minutes": 525_601}, "1 minute and a year"),
        ({"token_minutes": "x"}, "not a number"),
        ({"admin_email": "admin@example.org"}, "both an email and a password"),
        ({"admin_password": "secret"}, "both an email and a password"),
        ({"database_url": ""}, "sqlite:///path or postgresql://"),
        ({"database_url": "tracking.db"}, "sqlite:///path or postgresql://"),
        ({"database_url": "sqlite://"}, "sqlite:///path or postgresql://"),
        ({"database_url": "sqlite:///:memory:"}, "sqlite:///path or postgresql://"),
        ({"database_url": "mysql://root:secret@localhost/x"}, "sqlite:///path or postgresql://"),
        ({"database_url": "postgresql+psycopg2://root:secret@localhost/x"}, "sqlite:///path or postgresql://"),
        ({"database_url": "postgresql://root:secret@localhost:port/x"}, "not a number"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, str | int | bool | None], words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        Settings.from_env(given)
    assert "secret" not in refused.value.message


def test_the_names_that_a_server_answers_to() -> None:
    assert Settings().hosts == LOOPBACK
    assert Settings(access="required").hosts == ()
    assert Settings(access="required", allowed_hosts=" A.example , 10.0.0.1,").hosts == ("a.example", "10.0.0.1")
