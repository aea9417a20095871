"""What cron and the queue workers of a FreeScout do to the world: ``python -m raxx_bcp_sandbox.freescout.worker``.

A tick fetches mail, which only leaves its mark in ``options``, and sends the replies in ``jobs`` that are due. This is
what must never happen on a restored copy. Its command line ends in ``artisan schedule:run queue:work``: a search for
workers with ``pgrep -f artisan`` finds it.

The host's firewall is a file that holds what ``iptables -S OUTPUT`` prints. The mail server plays the outside world,
so the rule for the loopback device allows no connection to it, wherever in the sandbox it listens.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
import signal
import smtplib
import sys
import threading
import time
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from pathlib import Path
from types import FrameType
from typing import Final

from raxx_bcp.errors import BcpError
from raxx_bcp_sandbox.freescout.database import Database, DatabaseError
from raxx_bcp_sandbox.mariadb import binaries

_CONVERSATION: Final = re.compile(r'App\\Conversation";s:2:"id";i:(\d+);')
_THREAD: Final = re.compile(r'App\\Thread";s:2:"id";a:1:\{i:0;i:(\d+);\}')
_CUSTOMER: Final = re.compile(r'App\\Customer";s:2:"id";i:(\d+);')
_SMTP_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 60
_ACCEPTED, _TO_CUSTOMER = 1, 2
_TARGET: Final = re.compile(r"-d (\S+)")


class Worker:
    """The queue of one FreeScout."""

    def __init__(
        self, database: Database, smtp: str, firewall: Path | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._host, _, port = smtp.rpartition(":")
        self._port = int(port)
        self._firewall = firewall
        self._now = now

    def tick(self) -> int:
        """Do everything that is due; return how many messages were sent. With a database that is down, that is none."""
        try:
            self._database.rows("UPDATE options SET value = {} WHERE name = 'fetch_emails_last_run'", str(self._time()))
            due = self._database.rows(
                "SELECT id, HEX(payload) FROM jobs WHERE available_at <= {} AND reserved_at IS NULL ORDER BY id",
                self._time(),
            )
            return sum(self._run(int(job), bytes.fromhex(payload).decode()) for job, payload in due)
        except DatabaseError:
            return 0

    def _time(self) -> int:
        return int(self._now())

    def _run(self, job: int, payload: str) -> bool:
        command = payload.replace('\\"', '"').replace("\\\\", "\\")
        found = [pattern.search(command) for pattern in (_CONVERSATION, _THREAD, _CUSTOMER)]
        conversation, thread, customer = (int(each.group(1)) if each else 0 for each in found)
        message = self._message(conversation, thread, customer)
        if message is None or not self._send(message):
            again = self._time() + _RETRY_SECONDS
            self._database.rows(
                "UPDATE jobs SET attempts = LEAST(attempts + 1, 255), available_at = {} WHERE id = {}", again, job
            )
            return False
        self._database.rows(
            "INSERT INTO send_logs"
            " (thread_id, customer_id, message_id, email, mail_type, status, created_at, updated_at)"
            " VALUES ({}, {}, {}, {}, {}, {}, FROM_UNIXTIME({}), FROM_UNIXTIME({})); DELETE FROM jobs WHERE id = {}",
            thread,
            customer,
            str(message["Message-ID"]),
            str(message["To"]),
            _TO_CUSTOMER,
            _ACCEPTED,
            self._time(),
            self._time(),
            job,
        )
        return True

    def _message(self, conversation: int, thread: int, customer: int) -> EmailMessage | None:
        found = self._database.rows(
            "SELECT HEX(m.email), HEX(e.email), HEX(c.subject), HEX(t.body), c.number FROM conversations c"
            " JOIN mailboxes m ON m.id = c.mailbox_id JOIN threads t ON t.id = {}"
            " JOIN emails e ON e.customer_id = {} WHERE c.id = {} ORDER BY e.id LIMIT 1",
            thread,
            customer,
            conversation,
        )
        if not found:
            return None
        sender, recipient, subject, body = (bytes.fromhex(each).decode() for each in found[0][:4])
        message = EmailMessage()
        message["From"], message["To"] = sender, recipient
        message["Subject"] = f"Re: [#{found[0][4]}] {subject}"
        message["Message-ID"] = f"<reply-{thread}@{sender.rpartition('@')[2]}>"
        message.set_content(body.replace("\x00", ""), subtype="html")
        return message

    def _send(self, message: EmailMessage) -> bool:
        if self._firewall is not None and not lets_out(self._firewall, self._host):
            return False
        try:
            with smtplib.SMTP(self._host, self._port, timeout=_SMTP_SECONDS) as server:
                server.send_message(message)
        except (OSError, smtplib.SMTPException):
            return False
        return True


def lets_out(firewall: Path, address: str) -> bool:
    """Do the rules in ``firewall`` allow a new connection to ``address``? Without a file there is no firewall."""
    try:
        rules = firewall.read_text().splitlines()
    except FileNotFoundError:
        return True
    policy = "-P OUTPUT DROP" not in rules
    for rule in rules:
        if rule.startswith("-A OUTPUT") and _concerns(rule, address):
            return rule.endswith("-j ACCEPT")
    return policy


def _concerns(rule: str, address: str) -> bool:
    """A rule for a device or a connection state does not apply to a new connection to the outside."""
    if " -o " in rule or " --ctstate " in rule or " --state " in rule:
        return False
    target = _TARGET.search(rule)
    if target is None:
        return True
    return ipaddress.ip_address(address) in ipaddress.ip_network(target.group(1), strict=False)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="python -m raxx_bcp_sandbox.freescout.worker", description="Send what waits in the queue."
    )
    command.add_argument("--root", type=Path, required=True, help="the site's directory")
    command.add_argument("--socket", type=Path, required=True, help="of MariaDB")
    command.add_argument("--smtp", required=True, metavar="HOST:PORT", help="the mail server")
    command.add_argument("--firewall", type=Path, help="what iptables -S OUTPUT prints on this host")
    command.add_argument("--every-seconds", type=float, help="go on until SIGTERM; without it, once")
    command.add_argument("artisan", nargs="*", help="what a process list shows of it")
    return command


def main(arguments: Sequence[str] | None = None) -> None:
    """One tick, or one every few seconds. Without MariaDB's client it prints one sentence and exits with 2."""
    command = parser()
    options = command.parse_args(arguments)
    try:
        database = Database(options.root, options.socket, binaries())
    except BcpError as error:
        command.exit(error.exit_code, f"{error}\n")
    worker = Worker(database, options.smtp, options.firewall)
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    worker.tick()
    while options.every_seconds and not ended.wait(options.every_seconds):
        worker.tick()


if __name__ == "__main__":
    main()
