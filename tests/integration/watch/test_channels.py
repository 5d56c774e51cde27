"""How alerts are sent: to a webhook and by e-mail, to real servers; and what is said where they cannot be."""

import socket

import pytest

from footfall.errors import NotDelivered, WrongSetting
from footfall.watch.email import Email
from footfall.watch.settings import load_watch_settings
from footfall.watch.watcher import channels
from footfall.watch.webhook import Webhook
from tests.integration.watch.servers import CERTIFICATE, mail_server, webhook

LINES = ["open: run_failed: the job seal failed", "resolved: disk_full after 3 h — all is well"]
VARIABLES = ("WEBHOOK", "EMAIL", "FROM")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*(f"FOOTFALL_ALERT_{name}" for name in VARIABLES), "FOOTFALL_SMTP_URL", "PROMETHEUS_MULTIPROC_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


def an_email(url: str) -> Email:
    return Email(url, "footfall@example.org", ("one@example.org", "two@example.org"))


def test_webhook_gets_one_text_of_all_lines() -> None:
    with webhook() as hook:
        Webhook(hook.url).send("footfall on here: 1 open", LINES)
    assert hook.texts == ["\n".join(["footfall on here: 1 open", *LINES])]


@pytest.mark.parametrize("status", [500, 404, 429, 302])
def test_webhook_that_refuses_is_told_without_its_address(status: int) -> None:
    with webhook() as hook:
        hook.status = status
        with pytest.raises(NotDelivered, match=f"by webhook: it answered {status}") as told:
            Webhook(hook.url).send("a subject", LINES)
    assert "a-secret" not in f"{told.value!r} {Webhook(hook.url)!r}"


def test_webhook_that_is_away_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/a-secret"
        with pytest.raises(NotDelivered, match="ConnectionError") as told:
            Webhook(url).send("a subject", LINES)
    assert "a-secret" not in str(told.value)


@pytest.mark.parametrize(
    ("scheme", "behaviour", "said"),
    [
        ("smtp", {}, "MAIL"),
        ("smtp", {"starttls": True}, "STARTTLS"),
        ("smtps", {"tls": True}, "MAIL"),
        ("smtp", {"starttls": True, "login": ("ops", "p@ss")}, "AUTH"),
        ("smtps", {"tls": True, "login": ("ops", "p@ss")}, "AUTH"),
    ],
    ids=["plain", "starttls", "tls", "starttls-login", "tls-login"],
)
def test_mail_goes_to_all_recipients(scheme: str, behaviour: dict[str, object], said: str) -> None:
    with mail_server(**behaviour) as server:
        login = "ops:p%40ss@" if "login" in behaviour else ""
        an_email(f"{scheme}://{login}127.0.0.1:{server.port}").send("footfall on here: 1 open", LINES)
    [message] = server.messages
    assert message["Subject"] == "footfall on here: 1 open"
    assert message["Message-ID"]
    body = message.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode().split("\r\n") == [LINES[0], "", LINES[1], ""]
    assert server.recipients == ["one@example.org", "two@example.org"]
    assert said in server.said


@pytest.mark.parametrize(
    ("url", "behaviour", "reason"),
    [
        ("smtp://ops:secret@127.0.0.1", {"login": ("ops", "secret")}, "no STARTTLS: a password would be seen"),
        ("smtp://ops:wrong@127.0.0.1", {"starttls": True, "login": ("ops", "secret")}, "answered 535"),
        ("smtp://127.0.0.1", {"refuses": "RCPT"}, "refused all addresses"),
        ("smtp://127.0.0.1", {"refuses": "MAIL"}, "answered 451"),
    ],
    ids=["unsafe", "wrong-password", "no-recipient", "no-sender"],
)
def test_mail_that_is_refused_is_told(url: str, behaviour: dict[str, object], reason: str) -> None:
    with mail_server(**behaviour) as server, pytest.raises(NotDelivered, match=reason) as told:
        an_email(f"{url}:{server.port}").send("a subject", LINES)
    assert server.messages == []
    assert "secret" not in str(told.value)


def test_certificate_of_nobody_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with mail_server(tls=True) as server, pytest.raises(NotDelivered, match="SSLCertVerificationError"):
        an_email(f"smtps://127.0.0.1:{server.port}").send("a subject", LINES)


def test_settings_make_the_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert channels(load_watch_settings()) == []
    monkeypatch.setenv("FOOTFALL_ALERT_WEBHOOK", "https://hooks.example.org/a-secret")
    monkeypatch.setenv("FOOTFALL_ALERT_EMAIL", "one@example.org, two@example.org")
    monkeypatch.setenv("FOOTFALL_SMTP_URL", "smtp://ops:a-secret@mail.example.org:587")
    settings = load_watch_settings()
    hook, email = channels(settings)
    assert hook == Webhook("https://hooks.example.org/a-secret")
    assert isinstance(email, Email)
    assert email.recipients == ("one@example.org", "two@example.org")
    assert email.sender == f"footfall@{socket.gethostname()}"
    assert "a-secret" not in f"{settings!r} {hook!r} {email!r}"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"FOOTFALL_ALERT_WEBHOOK": "hooks.example.org/a-secret"}, "FOOTFALL_ALERT_WEBHOOK"),
        ({"FOOTFALL_ALERT_EMAIL": "ops@example.org"}, "FOOTFALL_SMTP_URL"),
        ({"FOOTFALL_SMTP_URL": "smtp://mail.example.org"}, "FOOTFALL_ALERT_EMAIL"),
        ({"FOOTFALL_SMTP_URL": "mail://x:a-secret@y", "FOOTFALL_ALERT_EMAIL": "a@b"}, "FOOTFALL_SMTP_URL"),
        ({"FOOTFALL_SMTP_URL": "smtp://x:a-secret@y:no", "FOOTFALL_ALERT_EMAIL": "a@b"}, "FOOTFALL_SMTP_URL"),
        ({"FOOTFALL_SMTP_URL": "smtp://y", "FOOTFALL_ALERT_EMAIL": "nobody"}, "FOOTFALL_ALERT_EMAIL"),
        ({"FOOTFALL_ALERT_FROM": "a@b\nBcc: c@d"}, "FOOTFALL_ALERT_FROM"),
    ],
    ids=["webhook", "email-alone", "smtp-alone", "scheme", "port", "recipient", "sender"],
)
def test_wrong_settings_are_named_and_not_shown(
    given: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(WrongSetting, match=named) as told:
        load_watch_settings()
    assert "a-secret" not in str(told.value)
