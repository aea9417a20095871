"""Instances from their making to their end: snapshots, restores, reboots, blueprints, and the end of everything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import paramiko
import pytest

from raxx_bcp_sandbox.hosts import marks, quirks
from raxx_bcp_sandbox.lightsail.seed import empty
from raxx_bcp_tests.sandbox.hosts.lab import ISOLATE, RESTORED, TICKETS, HostLab, Shell, host_lab, until
from raxx_bcp_tests.sandbox.lightsail.refusals import refusal

FETCHED = "SELECT value FROM options WHERE name = 'fetch_emails_last_run'"
# What Tier 2's launch script does before it isolates: everything that a FreeScout needs, on a fresh Ubuntu.
INSTALL = """#!/bin/sh
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q mariadb-server nginx php-fpm php-mysql
mkdir -p site /etc/nginx/sites-enabled
rm -f /etc/nginx/sites-enabled/default
curl -fsSL https://github.com/freescout-help-desk/freescout/archive/refs/tags/1.8.145.tar.gz \
    | tar -xz --strip-components=1 -C site
chown -R www-data:www-data site
echo 'server { listen 80; }' > /etc/nginx/sites-enabled/freescout
systemctl restart nginx
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[HostLab]:
    """One account for the module. Cron's first tick is far away."""
    with host_lab() as made:
        yield made


@pytest.fixture(scope="module")
def original(lab: HostLab) -> Shell:
    """A copy that runs, and that tests take snapshots of."""
    return lab.shell(lab.restore("original"))


class TestSnapshots:
    def test_a_restore_has_what_was_there_then(self, lab: HostLab, original: Shell) -> None:
        original.sql("INSERT INTO options (name, value) VALUES ('planted', 'before')")
        assert original.run("echo before > site/note").status == 0
        lab.snapshot("original", "of-original")
        original.sql("UPDATE options SET value = 'after' WHERE name = 'planted'")
        assert original.run("echo after > site/note").status == 0
        copy = lab.shell(lab.restore("of-then", instanceSnapshotName="of-original"))
        assert copy.sql("SELECT value FROM options WHERE name = 'planted'") == ["before"]
        assert copy.run("cat site/note").out == "before\n"
        assert original.sql("SELECT value FROM options WHERE name = 'planted'") == ["after"]
        assert lab.access("original")["hostKeys"] != lab.access("of-then")["hostKeys"], "as after cloud-init"
        lab.delete("of-then")

    def test_of_a_database_that_is_being_written_to(self, lab: HostLab, original: Shell) -> None:
        """What was committed before is there, nothing is there in part, and MariaDB takes it for a crash."""
        original.sql("CREATE TABLE busy (id INT AUTO_INCREMENT PRIMARY KEY, pair INT)")
        ended = threading.Event()

        def write() -> None:
            while not ended.is_set():
                original.sql("START TRANSACTION; INSERT INTO busy (pair) VALUES (1), (2); COMMIT")

        writer = threading.Thread(target=write)
        writer.start()
        try:
            until(lambda: original.sql("SELECT COUNT(*) > 9 FROM busy") == ["1"], "nothing is written")
            (before,) = original.sql("SELECT COUNT(*) FROM busy")
            lab.snapshot("original", "of-busy")
        finally:
            ended.set()
            writer.join()
        (after,) = original.sql("SELECT COUNT(*) FROM busy")
        copy = lab.shell(lab.restore("of-busy-copy", instanceSnapshotName="of-busy"))
        (found,) = copy.sql("SELECT COUNT(*) FROM busy")
        assert int(before) <= int(found) <= int(after)
        assert copy.sql("SELECT COUNT(*) % 2, SUM(pair = 1) = SUM(pair = 2) FROM busy") == ["0\t1"]
        checked = copy.sql("CHECK TABLE busy, threads, jobs EXTENDED")
        assert [line.rpartition("\t")[2] for line in checked] == ["OK"] * 3
        lab.delete("of-busy-copy")

    def test_a_copy_of_a_copy_outlives_it_and_the_instance(self, lab: HostLab) -> None:
        client = lab.client()
        lab.blank("short-lived")
        assert lab.shell("short-lived").run("echo kept > note").status == 0
        lab.snapshot("short-lived", "first")
        client.copy_snapshot(sourceSnapshotName="first", targetSnapshotName="second", sourceRegion="us-east-1")
        client.delete_instance_snapshot(instanceSnapshotName="first")
        lab.delete("short-lived")
        lab.available("second")
        assert lab.shell(lab.restore("again", instanceSnapshotName="second")).run("cat note").out == "kept\n"
        lab.delete("again")

    def test_a_snapshot_may_go_while_it_is_being_restored(self, lab: HostLab, original: Shell) -> None:
        assert original.run("true").status == 0
        lab.snapshot("original", "passing")
        lab.restore("of-passing", boot=False, instanceSnapshotName="passing")
        lab.client().delete_instance_snapshot(instanceSnapshotName="passing")
        assert lab.shell(lab.launched("of-passing")).sql("SELECT COUNT(*) > 9 FROM threads") == ["1"]
        lab.delete("of-passing")

    def test_of_production_it_is_fresh(self, lab: HostLab) -> None:
        """Production fetches mail all the time, also in the sandbox, whose clock stands still in this test."""
        lab.lab.advance(timedelta(hours=3))
        lab.snapshot(TICKETS, "by-hand")
        taken = lab.client().get_instance_snapshot(instanceSnapshotName="by-hand")["instanceSnapshot"]["createdAt"]
        (fetched,) = lab.shell(lab.restore("of-today", instanceSnapshotName="by-hand")).sql(FETCHED)
        assert 0 < taken.timestamp() - int(fetched) < 600
        lab.delete("of-today")

    def test_an_older_automatic_one_is_as_old_as_it_says(self, lab: HostLab) -> None:
        oldest = lab.client().get_auto_snapshots(resourceName=TICKETS)["autoSnapshots"][-1]
        copy = lab.restore("old", sourceInstanceName=TICKETS, restoreDate=oldest["date"])
        (fetched,) = lab.shell(copy).sql(FETCHED)
        assert 0 < oldest["createdAt"].timestamp() - int(fetched) < 3600
        lab.delete("old")

    def test_one_that_somebody_took_long_ago_can_be_restored_and_kept(self, lab: HostLab) -> None:
        client, name = lab.client(), "raxx-tickets-before-upgrade"
        client.copy_snapshot(sourceSnapshotName=name, targetSnapshotName="kept", sourceRegion="us-east-1")
        taken = client.get_instance_snapshot(instanceSnapshotName=name)["instanceSnapshot"]["createdAt"]
        (fetched,) = lab.shell(lab.restore("ancient", instanceSnapshotName="kept")).sql(FETCHED)
        assert 0 < taken.timestamp() - int(fetched) < 3600
        lab.delete("ancient")


class TestReboots:
    def test_a_stopped_instance_comes_back_with_its_disk_and_the_guards_firewall(self, lab: HostLab) -> None:
        client = lab.client()
        first = lab.shell(lab.restore("stopped", user_data=ISOLATE))
        first.sql("INSERT INTO options (name, value) VALUES ('planted', 'kept')")
        keys = lab.access("stopped")["hostKeys"]
        client.stop_instance(instanceName="stopped")
        lab.wait("stopped", "stopped")
        assert refusal(client.get_instance_access_details, instanceName="stopped").code == "OperationFailureException"
        with pytest.raises((OSError, EOFError, paramiko.SSHException)):
            first.run("true")
        client.start_instance(instanceName="stopped")
        again = lab.shell(lab.launched("stopped"))
        assert again.sql("SELECT value FROM options WHERE name = 'planted'") == ["kept"]
        rules = again.run("sudo -n iptables -S OUTPUT").out.splitlines()
        assert (rules[0], rules[-1]) == ("-P OUTPUT DROP", "-A OUTPUT -j REJECT"), "the guard closes it at each boot"
        assert len(rules) == 7, "the launch script's own rules do not outlive a boot"
        assert again.run("systemctl is-active cron").out == "inactive\n", "it is masked on its disk"
        assert again.run("grep -c isolated cloud-init-output.log").out == "1\n", "a launch script runs once"
        assert lab.access("stopped")["hostKeys"] == keys
        lab.delete("stopped")

    def test_people_can_log_in_while_the_launch_script_runs(self, lab: HostLab) -> None:
        script = "#!/bin/sh\nuntil [ -e go ]; do sleep 0.05; done\nfalse\n"
        lab.client().create_instances(
            instanceNames=["slow"],
            availabilityZone="us-east-1a",
            blueprintId="debian_12",
            bundleId="small_3_0",
            userData=script,
        )
        shell = lab.shell(lab.wait("slow"))
        assert shell.run("cloud-init status").out == "status: running\n"
        assert shell.run("systemctl is-active cron").out == "active\n", (
            "on a real host it does not wait for that either"
        )
        assert shell.run("touch go; cloud-init status --wait").out == "status: error\n"
        assert lab.access("slow")["username"] == "admin"
        lab.delete("slow")

    def test_one_that_is_deleted_while_its_launch_script_hangs(self, lab: HostLab) -> None:
        lab.client().create_instances(
            instanceNames=["hanging"],
            availabilityZone="us-east-1a",
            blueprintId="debian_12",
            bundleId="small_3_0",
            userData="#!/bin/sh\nsleep 600\n",
        )
        layout = lab.layout(lab.wait("hanging"))
        until(lambda: bool(marks.processes_of(layout.directory.parent, layout.directory.name)), "it does not run")
        lab.delete("hanging")
        assert marks.processes_of(layout.directory.parent, layout.directory.name) == []
        assert not layout.socket.parent.exists()

    def test_what_is_no_shell_script_is_not_run(self, lab: HostLab) -> None:
        shell = lab.shell(lab.blank("odd", user_data="#cloud-config\nruncmd: [touch x]\n"))
        assert "was not run" in shell.run("cat cloud-init-output.log").out
        lab.delete("odd")


class TestBlueprints:
    def test_a_fresh_ubuntu_has_nothing_of_production(self, lab: HostLab) -> None:
        shell = lab.shell(lab.blank("fresh"))
        assert shell.run("ls").out == "etc\n"
        for command in ("mariadb -e 'SELECT 1'", "mariadb-dump x", "php -v"):
            ran = shell.run(command)
            assert (ran.status, "command not found" in ran.err) == (127, True)
        assert shell.run("systemctl is-active mariadb nginx").out == "inactive\ninactive\n"
        assert shell.run(f"curl -s http://127.0.0.1:{lab.net.site}/").status == 7
        assert shell.run(f"nc -z -w 1 {lab.net.sink} {lab.net.smtp}").status == 0, "nothing is blocked yet"
        assert shell.run("nc -z -w 1 1.1.1.1 443").status == 0, "and nobody was really asked"
        assert shell.run("curl -sS https://example.org/").err == "curl: (6) Could not resolve host: example.org\n"
        lab.delete("fresh")

    def test_freescout_is_installed_by_a_launch_script(self, lab: HostLab) -> None:
        shell = lab.shell(lab.blank("tier-two", user_data=INSTALL + ISOLATE))
        log = shell.run("cat cloud-init-output.log").out
        assert log.endswith("isolated\n"), log
        assert shell.run("systemctl is-active mariadb nginx php8.1-fpm cron").out == "active\n" * 3 + "inactive\n"
        assert (
            shell.run("test -f site/artisan && cat etc/nginx/sites-enabled/freescout").out == "server { listen 80; }\n"
        )
        assert shell.run("php -v").out.startswith("PHP 8.1")
        assert shell.run("sudo -n apt-get install -y nginx").status == 100, "the way out is closed"
        assert shell.sql("CREATE DATABASE freescout; SELECT VERSION() IS NOT NULL", database="") == ["1"]
        page = f"curl -s -o /dev/null -w '%{{http_code}}' http://127.0.0.1:{lab.net.site}/login"
        assert shell.run(page).out in ("200", "500"), "the web server answers, whatever FreeScout says without .env"
        lab.delete("tier-two")


def test_production_runs_and_sends_nothing(lab: HostLab) -> None:
    """Its queue waits: cron is active there and has nothing to run."""
    lab.client().put_instance_public_ports(
        instanceName=TICKETS,
        portInfos=[{"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrs": ["127.0.0.1/32"]}],
    )
    shell = lab.shell(lab.launched(TICKETS))
    assert shell.sql("SELECT COUNT(*) FROM jobs") == ["5"]
    assert shell.run("systemctl is-active cron mariadb nginx").out == "active\n" * 3
    assert lab.mails() == 0


class TestMail:
    def test_a_copy_that_is_not_isolated_mails_the_customers(self) -> None:
        """Without this no empty sink would prove anything."""
        with host_lab(cron_seconds=0.1) as lab:
            lab.lab.fault(quirks.GUARD_GONE)
            shell = lab.shell(lab.restore(RESTORED))
            until(lambda: lab.mails() == 5, "the sink is empty")
            assert shell.sql("SELECT COUNT(*) FROM jobs") == ["0"]

    def test_a_blocked_one_tries_in_vain(self) -> None:
        """Cron runs, and only the firewall is in the way."""
        closed = "\n".join(line for line in ISOLATE.splitlines() if "systemctl" not in line)
        with host_lab(cron_seconds=0.1) as lab:
            lab.lab.fault(quirks.GUARD_GONE)
            shell = lab.shell(lab.restore(RESTORED, user_data=closed))
            until(lambda: shell.sql("SELECT SUM(attempts > 0) FROM jobs") == ["5"], "nothing was tried")
            assert lab.mails() == 0
            assert shell.run("systemctl is-active cron").out == "active\n"


def test_an_expired_login_is_refused() -> None:
    with host_lab(empty, real=lambda: 1_700_000_000.0) as lab:
        lab.client().create_instances(
            instanceNames=["any"], availabilityZone="us-east-1a", blueprintId="ubuntu_22_04", bundleId="small_3_0"
        )
        lab.wait("any")
        with pytest.raises(paramiko.AuthenticationException):
            lab.shell("any")


def test_two_sandboxes_side_by_side() -> None:
    with host_lab(empty) as first, host_lab(empty) as second:
        shells = [each.shell(each.blank("same-name")) for each in (first, second)]
        for number, shell in enumerate(shells):
            assert shell.run(f"echo {number} > note").status == 0
        assert [shell.run("cat note").out for shell in shells] == ["0\n", "1\n"]
        assert first.access("same-name")["ipAddress"] != second.access("same-name")["ipAddress"]


def test_nothing_is_left_when_it_is_closed() -> None:
    with host_lab() as lab:
        lab.restore(RESTORED)
        sleeping = lab.shell(RESTORED).client.exec_command("sleep 600")
        instances = lab.bodies.directory / "instances"
        until(lambda: len(marks.processes_of(instances)) > 2, "nothing runs")
        assert sleeping
        sockets = [lab.layout(name).socket for name in (RESTORED, TICKETS)]
    assert marks.processes_of(instances) == []
    assert not any(each.exists() for each in sockets)
