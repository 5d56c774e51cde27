"""Who runs a command, for the audit log."""

import os
import pwd


def actor() -> str:
    """Name who runs the command by the system's list of accounts; USER in the environment is anybody's word."""
    user_id = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(user_id).pw_name}"
    except KeyError:
        # a container may run as a number that the list does not know
        return f"cli:{user_id}"
