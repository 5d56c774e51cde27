"""Sends alerts by e-mail: over TLS (`smtps://`), after STARTTLS where the server offers it, else in the clear."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import urlsplit

from footfall.errors import NotDelivered
from footfall.watch.settings import read_login

SEND_SECONDS = 10.0
PORTS = {"smtp": 25, "smtps": 465}


@dataclass(frozen=True, slots=True)
class Email:
    """The mail server, which may have a password, who the mail is from and who gets it."""

    url: str = field(repr=False)
    sender: str
    recipients: tuple[str, ...]
    name = "e-mail"

    def send(self, subject: str, lines: list[str]) -> None:
        """Send one message to all. Raises NotDelivered."""
        try:
            with self._server() as server:
                refused = server.send_message(self._message(subject, lines))
        except (smtplib.SMTPException, OSError) as error:
            # its text may have what was said to the server
            raise NotDelivered(self.name, _reason(error)) from None
        if refused:
            raise NotDelivered(self.name, f"the server refused {len(refused)} of {len(self.recipients)} addresses")

    @contextmanager
    def _server(self) -> Iterator[smtplib.SMTP]:
        parts = urlsplit(self.url)
        host, port, tls = parts.hostname or "", parts.port or PORTS[parts.scheme], ssl.create_default_context()
        user, password = read_login(self.url)
        is_safe = parts.scheme == "smtps"
        opened = (
            smtplib.SMTP_SSL(host, port, timeout=SEND_SECONDS, context=tls)
            if is_safe
            else smtplib.SMTP(host, port, timeout=SEND_SECONDS)
        )
        with opened as server:
            server.ehlo()
            if not is_safe and server.has_extn("starttls"):
                server.starttls(context=tls)
                is_safe = True
            if password and not is_safe:
                raise NotDelivered(self.name, "the server offers no STARTTLS: a password would be seen on the way")
            if password:
                server.login(user, password)
            yield server

    def _message(self, subject: str, lines: list[str]) -> EmailMessage:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = subject, self.sender, ", ".join(self.recipients)
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="footfall")
        message.set_content("\n\n".join(lines) + "\n")
        return message


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the server answered {error.smtp_code}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "the server refused all addresses"
    return type(error).__name__
