"""Sends alerts to a webhook that takes Slack's JSON: Slack, Mattermost, Rocket.Chat and others."""

from dataclasses import dataclass, field

import requests

from footfall.errors import NotDelivered

SEND_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Webhook:
    """The address, which is a secret."""

    url: str = field(repr=False)
    name = "webhook"

    def send(self, subject: str, lines: list[str]) -> None:
        """Post one message. Raises NotDelivered, which does not name the address."""
        try:
            # who follows is sent to some page that answers well and tells nobody
            answer = requests.post(
                self.url, json={"text": "\n".join([subject, *lines])}, timeout=SEND_SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:
            # its text has the address
            raise NotDelivered(self.name, type(error).__name__) from None
        if answer.status_code >= 300:
            raise NotDelivered(self.name, f"it answered {answer.status_code}")
