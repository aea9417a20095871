"""Cron and queue: they really send mail when they may, and the firewall really stops them."""

from __future__ import annotations

import re
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout.rows import inserts
from raxx_bcp_sandbox.freescout.sink import Sink, received
from raxx_bcp_sandbox.freescout.worker import Worker, lets_out
from raxx_bcp_sandbox.waiting import Clock
from raxx_bcp_tests.faults.freescout_dumps import TAKEN
from raxx_bcp_tests.sandbox.freescout.desk import Desk
from raxx_bcp_tests.sandbox.heroku.lab import free_port

OPEN = "-P OUTPUT ACCEPT\n"
SHUT = """\
-P OUTPUT DROP
-A OUTPUT -o lo -j ACCEPT
-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
"""
NOW = TAKEN.timestamp() + 1


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    """The outside world's mail server."""
    with Sink(tmp_path / "mail") as running:
        yield running


@pytest.fixture
def firewall(tmp_path: Path) -> Path:
    """The host's firewall; there is none yet."""
    return tmp_path / "firewall"


@pytest.fixture
def queue(well: Desk) -> Desk:
    """A help desk in whose queue wait the five replies of the seed."""
    waiting = b"".join(inserts("jobs", freescout.help_desk(TAKEN).rows["jobs"])).decode()
    well.rows("DELETE FROM jobs")
    well.rows(waiting)
    return well


def jobs(desk: Desk) -> list[list[str]]:
    """What waits in the queue."""
    return desk.rows("SELECT attempts, available_at FROM jobs ORDER BY id")


class TestTheQueue:
    def test_it_sends_what_is_due_to_customers(self, queue: Desk, sink: Sink, firewall: Path) -> None:
        firewall.write_text(OPEN)
        logged = int(queue.rows("SELECT COUNT(*) FROM send_logs")[0][0])
        assert Worker(queue.database, sink.hostport, firewall, lambda: NOW).tick() == 5
        messages = sink.received()
        assert len(messages) == 5
        assert all(re.fullmatch(r"customer\.\d{3}@mail-of-customers\.example", message["To"]) for message in messages)
        assert all(message["Subject"].startswith("Re: [#") for message in messages)
        assert all(message["X-RcptTo"] == message["To"] for message in messages)
        first = messages[0].get_body()
        assert first is not None
        assert "<div><p>" in first.get_content()
        assert jobs(queue) == []
        ((rows, newest),) = queue.rows("SELECT COUNT(*), UNIX_TIMESTAMP(MAX(created_at)) FROM send_logs")
        assert (int(rows), int(newest)) == (logged + 5, int(NOW))

    def test_it_sends_nothing_twice(self, queue: Desk, sink: Sink) -> None:
        worker = Worker(queue.database, sink.hostport, None, lambda: NOW)
        assert [worker.tick(), worker.tick()] == [5, 0]
        assert len(sink.received()) == 5

    def test_what_is_not_due_waits(self, queue: Desk, sink: Sink) -> None:
        assert Worker(queue.database, sink.hostport, None, lambda: NOW - 60).tick() == 0
        assert len(jobs(queue)) == 5
        assert sink.received() == []

    def test_a_closed_firewall_stops_it_and_the_jobs_stay(self, queue: Desk, sink: Sink, firewall: Path) -> None:
        firewall.write_text(SHUT)
        logged = queue.rows("SELECT COUNT(*) FROM send_logs")
        assert Worker(queue.database, sink.hostport, firewall, lambda: NOW).tick() == 0
        assert sink.received() == []
        assert jobs(queue) == [["1", str(int(NOW) + 60)]] * 5
        assert queue.rows("SELECT COUNT(*) FROM send_logs") == logged

    def test_a_mail_server_that_is_away_leaves_the_jobs(self, queue: Desk) -> None:
        assert Worker(queue.database, f"127.0.0.1:{free_port()}", None, lambda: NOW).tick() == 0
        assert [attempts for attempts, _at in jobs(queue)] == ["1"] * 5

    def test_a_job_of_a_customer_who_is_gone_is_not_sent(self, desk: Desk, sink: Sink) -> None:
        desk.rows("DELETE FROM emails")
        assert Worker(desk.database, sink.hostport, None, lambda: NOW).tick() == 0
        assert sink.received() == []
        assert len(jobs(desk)) == 5

    def test_it_leaves_its_mark_when_it_fetches(self, queue: Desk, sink: Sink) -> None:
        Worker(queue.database, sink.hostport, None, lambda: NOW - 30).tick()
        ((value,),) = queue.rows("SELECT value FROM options WHERE name = 'fetch_emails_last_run'")
        assert value == str(int(NOW - 30))

    def test_without_a_database_nothing_happens(self, desk: Desk, sink: Sink) -> None:
        desk.server.stop()
        assert Worker(desk.database, sink.hostport, None, lambda: NOW).tick() == 0
        assert sink.received() == []


class TestTheFirewall:
    @pytest.mark.parametrize(
        ("rules", "open_"),
        [
            (OPEN, True),
            ("", True),
            (SHUT, False),
            ("-P OUTPUT DROP\n", False),
            (SHUT + "-A OUTPUT -j ACCEPT\n", True),
            (SHUT + "-A OUTPUT -d 127.3.4.254/32 -p tcp -j ACCEPT\n", True),
            (SHUT + "-A OUTPUT -d 10.0.0.0/8 -j ACCEPT\n", False),
            ("-P OUTPUT ACCEPT\n-A OUTPUT -d 127.3.4.254/32 -j DROP\n", False),
            ("-P OUTPUT ACCEPT\n-A OUTPUT -d 127.3.4.254/32 -j REJECT\n-A OUTPUT -j ACCEPT\n", False),
        ],
    )
    def test_it_lets_out_what_its_rules_say(self, firewall: Path, rules: str, *, open_: bool) -> None:
        firewall.write_text(rules)
        assert lets_out(firewall, "127.3.4.254") is open_

    def test_without_a_file_there_is_none(self, firewall: Path) -> None:
        assert lets_out(firewall, "127.3.4.254") is True


class TestTheProcess:
    def test_its_command_line_names_artisan_and_one_tick_is_enough(
        self, queue: Desk, sink: Sink, firewall: Path
    ) -> None:
        argv = freescout.worker_argv(queue.root, queue.server.socket, sink.hostport, firewall)
        assert re.search(r"artisan (queue:work|schedule:run|freescout:fetch-emails)", " ".join(argv))
        queue.rows("UPDATE jobs SET available_at = 1")
        done = subprocess.run(argv, capture_output=True, timeout=60, check=True)
        assert done.stdout + done.stderr == b""
        assert len(sink.received()) == 5

    def test_it_goes_on_until_it_is_ended(self, queue: Desk, sink: Sink) -> None:
        argv = freescout.worker_argv(queue.root, queue.server.socket, sink.hostport, every_seconds=0.05)
        with subprocess.Popen(argv, stderr=subprocess.PIPE) as process:
            queue.rows("UPDATE jobs SET available_at = 1 WHERE id = 1")
            assert Clock().until(lambda: len(sink.received()) == 1, 30)
            queue.rows("UPDATE jobs SET available_at = 1")
            assert Clock().until(lambda: len(sink.received()) == 5, 30)
            process.terminate()
            _out, error = process.communicate(timeout=20)
        assert error == b""


class TestTheSink:
    def test_it_keeps_every_message(self, sink: Sink, tmp_path: Path) -> None:
        for number in range(3):
            message = EmailMessage()
            message["Subject"] = f"Nr. {number} 🚣"
            message.set_content("Hello")
            with smtplib.SMTP(sink.address, sink.port, timeout=10) as server:
                server.send_message(message, "a@example.com", ["b@example.com", "c@example.com"])
        assert [message["Subject"] for message in received(tmp_path / "mail")] == [f"Nr. {n} 🚣" for n in range(3)]
        assert received(tmp_path / "mail")[0]["X-RcptTo"] == "b@example.com, c@example.com"

    def test_without_a_directory_nothing_was_received(self, tmp_path: Path) -> None:
        assert received(tmp_path / "nowhere") == []

    def test_it_runs_as_a_process(self, tmp_path: Path) -> None:
        port = free_port()
        argv = [sys.executable, "-m", "raxx_bcp_sandbox.freescout.sink", f"--port={port}", f"--directory={tmp_path}"]

        def delivered() -> bool:
            try:
                with smtplib.SMTP("127.0.0.1", port, timeout=10) as server:
                    server.sendmail("a@example.com", ["b@example.com"], b"Subject: hello\r\n\r\nbody")
            except OSError:
                return False
            return True

        with subprocess.Popen(argv, stderr=subprocess.PIPE) as process:
            assert Clock().until(delivered, 20)
            process.send_signal(signal.SIGTERM)
            _out, error = process.communicate(timeout=20)
        assert (process.returncode, error) == (0, b"")
        assert [message["Subject"] for message in received(tmp_path)] == ["hello"]
