"""Servers that alerts are sent to: one of HTTP, and one of SMTP with STARTTLS, TLS and logins. Both keep what they get.

`localhost.pem` is a certificate for 127.0.0.1 with its key, made for these tests alone.
"""

import base64
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CERTIFICATE = Path(__file__).with_name("localhost.pem")


@dataclass
class Hook:
    """A webhook: what it got, and what it answers."""

    port: int = 0
    status: int = 200
    texts: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T0/B0/a-secret"


@dataclass
class Mail:
    """A mail server: what it got, and how it behaves."""

    port: int = 0
    starttls: bool = False
    tls: bool = False
    login: tuple[str, str] | None = None
    refuses: str = ""
    messages: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


@contextmanager
def webhook() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if hook.status == 200:
                hook.texts.append(body["text"])
            self.send_response(hook.status)
            # a page that answers well, as a login's does
            self.send_header("Location", "/login")
            self.end_headers()

        def do_GET(self) -> None:
            # of ingest, what its proxy keeps to itself
            self.send_response(404 if self.path in {"/readyz", "/metrics"} else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as hook.port:
        yield hook


@contextmanager
def mail_server(**behaviour: Any) -> Iterator[Mail]:  # noqa: ANN401
    mail = Mail(**behaviour)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            # a client that does not like the certificate goes
            with suppress(OSError):
                _talk(mail, self.request, context)

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as mail.port:
        yield mail


def _talk(mail: Mail, plain: socket.socket, context: ssl.SSLContext) -> None:
    connection = context.wrap_socket(plain, server_side=True) if mail.tls else plain
    stream = connection.makefile("rwb", buffering=0)
    stream.write(b"220 ready\r\n")
    verb = ""
    while verb != "QUIT" and (line := _line(stream)):
        verb = line.split()[0].upper()
        mail.said.append(verb)
        stream.write(_answer(mail, verb, line).encode() + b"\r\n")
        if verb == "STARTTLS":
            connection = context.wrap_socket(connection, server_side=True)
            stream = connection.makefile("rwb", buffering=0)
        if verb == "DATA":
            mail.messages.append(message_from_bytes(b"".join(iter(stream.readline, b".\r\n"))))
            stream.write(b"250 kept\r\n")
    connection.close()


def _line(stream: Any) -> str:  # noqa: ANN401
    return str(stream.readline().decode().strip())


def _answer(mail: Mail, verb: str, line: str) -> str:
    if verb == mail.refuses:
        return "451 not now"
    if verb == "EHLO":
        offers = ["STARTTLS"] * (mail.starttls and "STARTTLS" not in mail.said) + ["AUTH PLAIN"] * bool(mail.login)
        return "\r\n".join(["250-here", *(f"250-{offer}" for offer in offers), "250 SIZE 1000000"])
    if verb == "AUTH":
        _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
        return "235 welcome" if (user, password) == mail.login else "535 who is that"
    if verb == "RCPT":
        mail.recipients.append(line.partition("<")[2].partition(">")[0])
    return {"QUIT": "221 bye", "DATA": "354 go on", "STARTTLS": "220 go on"}.get(verb, "250 fine")


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=lambda: server.serve_forever(0.01))
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
