"""freescout-backup on a real host: installed by its page, run by its timer's command, and broken at every step.

S3 is a real server of this machine, with the role that may only put; Slack is a sink. After each broken night there is
one whole set, the one before, and Slack was told.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from raxx_bcp.clients.instance_shapes import access_of
from raxx_bcp.clients.s3 import Bucket
from raxx_bcp.clients.ssh import Shell, connect
from raxx_bcp.clock import utc_now
from raxx_bcp.errors import PermanentError
from raxx_bcp.freescout import backup_hosts, backup_tool
from raxx_bcp.freescout.inventory import DayState, take_inventory
from raxx_bcp.policy import FreeScout, Policy
from raxx_bcp.vault.keys import OperatorKey
from raxx_bcp_sandbox import freescout
from raxx_bcp_sandbox.freescout import tree
from raxx_bcp_sandbox.freescout.seed import help_desk
from raxx_bcp_sandbox.hosts.certificates import Authority
from raxx_bcp_sandbox.keys import KeyPair, expired, make_key
from raxx_bcp_sandbox.parts import s3
from raxx_bcp_sandbox.supervisor import Sandbox
from raxx_bcp_tests.clients.servers import Reply, Served, scripted
from raxx_bcp_tests.drills.freescout.local_host import local_host
from raxx_bcp_tests.drills.freescout.stage import CHECKS, Shelf, Stage, passed, s3_client, said
from raxx_bcp_tests.real_host import image, production
from raxx_bcp_tests.real_host.conftest import Rack
from raxx_bcp_tests.real_host.machine import Disk, Machine, wait
from raxx_bcp_tests.real_host.outside import GATEWAY, HOST
from raxx_bcp_tests.real_host.relay import Relay

S3_PORT, SLACK_PORT = 8333, 8334
UNIT = "freescout-backup.service"
STATE = "/var/lib/freescout-backup"
CONF = "/etc/freescout-backup.conf"
PREFIX = "freescout-dumps/"
KILL_SLEEPERS = "SELECT CONCAT('KILL ', id, ';') FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"
PAGE = backup_hosts.FILES / "README.md"
TOKEN = "xoxb-planted-token"


@dataclass
class Desk:
    """The help desk, and the world that it stores to."""

    machine: Machine
    storage: Relay
    slack: Served
    shelf: Shelf
    operator: KeyPair
    credentials: dict[str, str]
    log_in: Callable[[], Shell]
    prefix: str = ""

    def policy(self) -> FreeScout:
        return FreeScout(dump_prefix=self.prefix, site_directory="/var/www/html", database=freescout.DATABASE)

    def begin(self, name: str) -> None:
        """A night of its own: another prefix, with the good set of yesterday, and nothing remembered."""
        self.prefix = f"{PREFIX}{name}/"
        self.slack.asked.clear()
        self.storage.shut = False
        self.storage.before = self.storage.after = lambda _method, _path: False
        self.machine.run("sh", "-c", f"rm -rf {STATE}/*; sed -i 's|^prefix = .*|prefix = {self.prefix}|' {CONF}")
        good = f"{PREFIX}good/"
        yesterday = (utc_now() - timedelta(days=1)).date().isoformat()
        for one in self.shelf.bucket.objects(good):
            key = f"{self.prefix}{yesterday}/{one.key.rpartition('/')[2]}"
            source: Any = {"Bucket": self.shelf.bucket.name, "Key": one.key}
            self.shelf.client.copy_object(Bucket=self.shelf.bucket.name, Key=key, CopySource=source)

    def night(self) -> int:
        """What the timer does; the exit code."""
        self.machine.ends_with("systemctl", "reset-failed", UNIT)  # or the sixth failed start of a minute is refused
        return self.machine.ends_with("systemctl", "start", UNIT)[0]

    def states(self) -> list[DayState]:
        """Of today and yesterday."""
        found = take_inventory(self.shelf.bucket, self.policy(), utc_now())
        return [day.state for day in found.days[:2]]

    def told(self) -> list[str]:
        return [json.loads(one.body)["text"] for one in self.slack.asked if one.path == "/chat.postMessage"]

    def journal(self) -> str:
        return self.machine.run("journalctl", "-u", UNIT, "-n", "30", "--no-pager", "-o", "cat")

    def assert_only_yesterdays_counts(self, word: str) -> None:
        today, yesterday = self.states()
        assert (today is DayState.COMPLETE, yesterday) == (False, DayState.COMPLETE), self.journal()
        (told,) = self.told()
        assert word in told

    def assert_made_good(self) -> None:
        """The same command again, once nothing is in its way."""
        self.storage.before = self.storage.after = lambda _method, _path: False
        assert self.night() == 0, self.journal()
        assert self.states() == [DayState.COMPLETE, DayState.COMPLETE]


@pytest.fixture(scope="module")
def short() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="nb-"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def storage(short: Path) -> Iterator[Sandbox]:
    local = Sandbox(short / "s3", parts=(s3.PART,), any_ports=True)
    try:
        local.up()
        yield local
    finally:
        local.down(purge=(short / "s3").exists())


@pytest.fixture(scope="module")
def desk(session_rack: Rack, authority: Authority, storage: Sandbox) -> Iterator[Desk]:
    """One boot for all of these tests: a FreeScout with its database, and nothing installed."""
    disk = Disk(session_rack.place(), (image.base_image(),))
    root = disk.mount()
    made = help_desk(utc_now())
    production.furnish(root, authority.public, made)
    site = root / "var/www/html"
    shutil.rmtree(site)
    tree.write(site, made.files)
    for unit in ("supervisor.service", "cron.service"):
        production.inside(root, "systemctl", "disable", unit)
    machine = session_rack.machine(disk, production.ORIGINAL)
    machine.boot()
    machine.wait_up()
    database = f"CREATE DATABASE {freescout.DATABASE} DEFAULT CHARACTER SET utf8mb4; USE {freescout.DATABASE};\n"
    machine.run("mariadb", "--default-character-set=utf8mb4", stdin=database + b"".join(made.statements()).decode())
    environ, secrets = storage.environment(), storage.credentials()
    client = s3_client(*(environ[f"AWS_{name}"] for name in ("ENDPOINT_URL_S3", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY")))
    names = ("S3_HELP_DESK_ACCESS_KEY_ID", "S3_HELP_DESK_SECRET_ACCESS_KEY")
    credentials = dict(
        zip(("aws-access-key-id", "aws-secret-access-key"), (secrets[name] for name in names), strict=True)
    )

    def log_in() -> Shell:
        keys = machine.run("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub").splitlines()
        known = [dict(zip(("algorithm", "publicKey"), line.split(), strict=False)) for line in keys]
        login = authority.login(production.LOGIN, time.time(), 600)
        access = access_of({**login, "ipAddress": HOST, "hostKeys": known, "protocol": "ssh"})
        return machine.outside.inside(lambda: connect(access, 22))

    with scripted(Reply(b'{"ok":true}')) as slack:
        ways = [
            Relay(machine.outside, port, urlsplit(to).port or 0)
            for port, to in ((S3_PORT, environ["AWS_ENDPOINT_URL_S3"]), (SLACK_PORT, slack.url))
        ]
        yield Desk(
            machine,
            ways[0],
            slack,
            Shelf(Bucket(s3.STATE_BUCKET, client=client), client),
            make_key(),
            {**credentials, "slack-token": TOKEN},
            log_in=log_in,
        )
        for way in ways:
            way.close()


def setting(desk: Desk, **changes: Any) -> backup_hosts.Setting:
    desk.prefix = f"{PREFIX}good/"
    return replace(
        backup_hosts.Setting(
            Policy(freescout=desk.policy()),
            OperatorKey(desk.operator.public.encode(), desk.operator.fingerprint),
            "us-east-1",
            endpoint=f"http://{GATEWAY}:{S3_PORT}",
            slack_url=f"http://{GATEWAY}:{SLACK_PORT}",
            credentials=desk.credentials,
        ),
        **changes,
    )


def blocks(heading: str) -> list[str]:
    """The shell commands of a section of the page."""
    text = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def test_by_hand_its_page_is_right_to_the_letter(desk: Desk) -> None:
    """The only thing that a person adds is what the page tells to edit, and the credentials."""
    here = Path("/root/by-hand")
    files = {
        **{file.name: file.read_text() for file in backup_hosts.FILES.iterdir()},
        "backup_tool.py": Path(backup_tool.__file__).read_text(),
        "operator.asc": desk.operator.public,
    }
    for name, text in files.items():
        desk.machine.run("sh", "-c", f"mkdir -p {here} && cat >{here / name}", stdin=text)
    edits = {
        "0" * 40: desk.operator.fingerprint,
        "prefix = freescout-dumps/": f"prefix = {PREFIX}by-hand/\nendpoint = http://{GATEWAY}:{S3_PORT}",
        "channel = D0AJ7K184TV": f"channel = D0AJ7K184TV\nurl = http://{GATEWAY}:{SLACK_PORT}",
    }
    conf = files["freescout-backup.conf.example"]
    for old, new in edits.items():
        assert old in conf
        conf = conf.replace(old, new)
    secrets = "".join(
        f"install -m 0600 /dev/stdin /etc/freescout-backup.credentials/{name} <<'EOF'\n{value}\nEOF\n"
        for name, value in desk.credentials.items()
    )
    (commands,) = blocks("Install by hand, as root on the help desk")
    edited = f"cat >{CONF} <<'EOF'\n{conf}\nEOF\n{secrets}freescout-backup check"
    commands = re.sub(r"^freescout-backup check.*$", lambda _found: edited, commands, flags=re.MULTILINE)
    code, output = desk.machine.ends_with("sh", "-e", "-c", f"cd {here}\n{commands}")
    assert code == 0, output + desk.journal()
    assert "is whole: 4 files" in output
    assert desk.machine.succeeds("systemctl", "is-active", "freescout-backup.timer")
    (remove,) = blocks("Take it away")
    assert desk.machine.ends_with("sh", "-e", "-c", remove)[0] == 0
    left = "find /etc /usr/local /var/lib -name '*freescout-backup*' -not -path '/var/lib/systemd/*'"
    assert desk.machine.run("sh", "-c", left) == ""


def test_what_would_not_work_is_not_put_there(desk: Desk) -> None:
    with desk.log_in() as shell:
        with pytest.raises(PermanentError, match="no AWS credentials"):
            backup_hosts.install(shell, "raxx-tickets", setting(desk, credentials={}))
        wrong = {**desk.credentials, "aws-secret-access-key": "wrong"}
        with pytest.raises(PermanentError, match="SignatureDoesNotMatch"):
            backup_hosts.install(shell, "raxx-tickets", setting(desk, credentials=wrong))
        gone = OperatorKey(expired(desk.operator).encode(), desk.operator.fingerprint)
        with pytest.raises(PermanentError, match="has expired, is revoked, or cannot encrypt"):
            backup_hosts.install(shell, "raxx-tickets", setting(desk, key=gone))
        desk.machine.run("mv", "/usr/bin/gpg", "/usr/bin/gpg.away")
        try:
            with pytest.raises(PermanentError, match="The host lacks: gpg"):
                backup_hosts.install(shell, "raxx-tickets", setting(desk))
        finally:
            desk.machine.run("mv", "/usr/bin/gpg.away", "/usr/bin/gpg")
        assert backup_hosts.status(shell, "raxx-tickets").why == "it is not installed"
    assert desk.machine.run("sh", "-c", "find /etc /usr/local /run -name 'freescout-backup*'") == ""


@pytest.fixture(scope="module")
def installed(desk: Desk) -> Desk:
    """By the command, and a good set was made by what the timer starts."""
    with desk.log_in() as shell:
        first = backup_hosts.install(shell, "raxx-tickets", setting(desk))
        assert (first.why, first.warning, len(first.changed)) == ("", "", 8)
        assert first.next
        assert backup_hosts.install(shell, "raxx-tickets", setting(desk, credentials={})).changed == ()
        assert backup_hosts.status(shell, "raxx-tickets").why == ""
    modes = desk.machine.run(
        "sh", "-c", "stat -c '%a %U' /etc/freescout-backup.credentials /etc/freescout-backup.credentials/*"
    )
    assert modes.splitlines() == ["700 root", *["600 root"] * 3]
    assert desk.night() == 0, desk.journal()
    assert TOKEN not in desk.machine.run("journalctl", "--no-pager")
    return desk


def test_what_the_timers_command_makes_is_restored_and_passes_every_check(installed: Desk, short: Path) -> None:
    desk = installed
    with local_host(short / "host") as host:
        stage = Stage(cast("Any", None), host, desk.shelf, f"{PREFIX}good/", short)
        stage.private_key = desk.operator.secret.encode()
        drill = stage.restore()
        assert passed(drill) == set(CHECKS), said(drill)
    assert desk.machine.run("sh", "-c", "pgrep -x gpg-agent || true") == ""


STEPS = ("database.sql.gz.gpg", "env.gpg", "attachments.tar.gz.gpg", "modules.tar.gz.gpg", "manifest.json")


@pytest.mark.parametrize("step", STEPS)
def test_killed_before_a_step_is_stored(installed: Desk, step: str) -> None:
    desk = installed
    desk.begin(f"killed-{step}")

    def kill(method: str, path: str) -> bool:
        if method != "PUT" or not path.endswith(step):
            return False
        desk.machine.run("systemctl", "kill", "-s", "KILL", UNIT)
        return True

    desk.storage.before = kill
    assert desk.night() != 0
    desk.assert_only_yesterdays_counts("ended from outside (signal)")
    desk.assert_made_good()


def test_killed_when_the_manifest_was_stored_and_nobody_heard_it(installed: Desk) -> None:
    desk = installed
    desk.begin("killed-late")

    def kill(method: str, path: str) -> bool:
        if method != "PUT" or not path.endswith("manifest.json"):
            return False
        desk.machine.run("systemctl", "kill", "-s", "KILL", UNIT)
        return True

    desk.storage.after = kill
    assert desk.night() != 0
    stored = {one.key: one.etag for one in desk.shelf.bucket.objects(desk.prefix)}
    assert desk.states() == [DayState.COMPLETE, DayState.COMPLETE]
    desk.assert_made_good()
    assert {one.key: one.etag for one in desk.shelf.bucket.objects(desk.prefix)} == stored


@pytest.mark.parametrize(
    ("place", "options", "word"),
    [(STATE, "size=16k", "o space left"), ("/tmp", "size=24k,mode=1777", "The FreeScout backup of")],
)
def test_a_full_disk(installed: Desk, place: str, options: str, word: str) -> None:
    """Which program meets a full ``/tmp`` first, and with which words, is not the tool's."""
    desk = installed
    desk.begin(f"full{place.replace('/', '-')}")
    desk.machine.run("mount", "-t", "tmpfs", "-o", options, "tmpfs", place)
    try:
        desk.machine.run("sh", "-c", f"cat /dev/zero >{place}/filler 2>/dev/null || true")
        assert desk.night() != 0
    finally:
        desk.machine.run("umount", "-l", place)
    desk.assert_only_yesterdays_counts(word)
    desk.assert_made_good()


def test_a_table_that_somebody_holds(installed: Desk) -> None:
    desk = installed
    desk.begin("locked")
    desk.machine.run("sed", "-i", "s/^user = root$/user = root\\nlock_wait_seconds = 2/", CONF)
    hold = "LOCK TABLES threads WRITE; SELECT SLEEP(600);"
    enter = [
        "nsenter",
        "-t",
        str(desk.machine.leader),
        "-m",
        "-u",
        "-i",
        "-n",
        "-p",
        "-r",
        "mariadb",
        freescout.DATABASE,
    ]
    holder = subprocess.Popen([*enter, "-e", hold], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait(lambda: "SLEEP" in desk.machine.run("mariadb", "-e", "SHOW FULL PROCESSLIST"), 20, "no holder")
        assert desk.night() != 0
        desk.assert_only_yesterdays_counts("could not be locked within 2 s")
    finally:
        holder.kill()
        holder.wait()
        desk.machine.run("sh", "-c", f'mariadb -Ne "{KILL_SLEEPERS}" | mariadb')
    desk.assert_made_good()


def test_a_writer_that_never_stops(installed: Desk, short: Path) -> None:
    desk = installed
    desk.begin("writer")
    script = (
        'while :; do echo "INSERT INTO threads (conversation_id, type, status, state, body, source_via, source_type,'
        " created_at) SELECT conversation_id, type, status, state, UUID(), source_via, source_type, created_at"
        ' FROM threads LIMIT 1;"; done | mariadb freescout'
    )
    desk.machine.run("systemd-run", "--unit=writer", "sh", "-c", script)
    counted = ("mariadb", "-Ne", "SELECT COUNT(*) FROM threads", freescout.DATABASE)
    before = int(desk.machine.run(*counted))
    try:
        wait(lambda: int(desk.machine.run(*counted)) > before, 20, "nobody writes")
        assert desk.night() == 0, desk.journal()
        assert desk.machine.succeeds("systemctl", "is-active", "--quiet", "writer"), "it must have written all the time"
    finally:
        desk.machine.run("systemctl", "stop", "writer", check=False)
    with local_host(short / "written") as host:
        stage = Stage(cast("Any", None), host, desk.shelf, desk.prefix, short)
        stage.private_key = desk.operator.secret.encode()
        drill = stage.restore()
        assert passed(drill) == set(CHECKS), said(drill)


def test_storage_that_is_away(installed: Desk) -> None:
    desk = installed
    desk.begin("away")
    desk.machine.run("sh", "-c", f"grep -q '^tries' {CONF} || sed -i 's|^prefix = |tries = 1\\nprefix = |' {CONF}")
    desk.storage.shut = True
    assert desk.night() != 0
    desk.storage.shut = False
    desk.assert_only_yesterdays_counts("could not be stored")
    desk.assert_made_good()


def test_an_expired_key(installed: Desk) -> None:
    desk = installed
    desk.begin("expired")
    place = "cat >/etc/freescout-backup.key.asc"
    desk.machine.run("sh", "-c", place, stdin=expired(desk.operator))
    try:
        assert desk.night() != 0
        desk.assert_only_yesterdays_counts("has expired, is revoked, or cannot encrypt")
    finally:
        desk.machine.run("sh", "-c", place, stdin=desk.operator.public)
    desk.assert_made_good()


def test_a_run_that_is_told_to_stop(installed: Desk) -> None:
    """By the unit's time limit, as by a shutdown."""
    desk = installed
    desk.begin("stopped")

    def stop(method: str, path: str) -> bool:
        if method != "PUT" or not path.endswith("attachments.tar.gz.gpg"):
            return False
        desk.machine.run("systemctl", "kill", "-s", "TERM", "--kill-whom=main", UNIT)
        return True

    desk.storage.before = stop
    assert desk.night() != 0
    desk.assert_only_yesterdays_counts("told to stop before it was done")
    desk.assert_made_good()


def test_the_command_takes_it_away(installed: Desk) -> None:
    desk = installed
    with desk.log_in() as shell:
        backup_hosts.uninstall(shell, "raxx-tickets")
        assert backup_hosts.status(shell, "raxx-tickets").why == "it is not installed"
    assert not desk.machine.succeeds("systemctl", "cat", "freescout-backup.timer")
    assert (
        desk.machine.run(
            "sh", "-c", "find /etc /usr/local /var/lib/freescout-backup -name 'freescout-backup*' 2>/dev/null || true"
        )
        == ""
    )
