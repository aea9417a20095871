"""The small programs of an instance, over SSH on a fresh Ubuntu."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from raxx_bcp_sandbox.lightsail.seed import empty
from raxx_bcp_tests.sandbox.hosts.lab import HostLab, Shell, host_lab, until

NAME = "any"


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_words: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        asked = {
            "method": self.command,
            "path": self.path,
            "host": self.headers["Host"],
            "headers": dict(self.headers.items()),
            "body": self.rfile.read(length).decode(),
        }
        code = {"/missing": 404, "/moved": 302}.get(self.path, 200)
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        if code == 302:
            self.send_header("Location", "/there?x=1")
        body = json.dumps(asked).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def lab() -> Iterator[HostLab]:
    """One instance."""
    with host_lab(empty) as made:
        made.blank(NAME)
        yield made


@pytest.fixture(scope="module")
def shell(lab: HostLab) -> Shell:
    """A login."""
    return lab.shell(NAME)


@pytest.fixture(scope="module")
def url(lab: HostLab) -> Iterator[str]:
    """A web server on the instance's own address, under the name by which the instance knows it."""
    server = HTTPServer((lab.access(NAME)["ipAddress"], 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class TestProcesses:
    def test_pgrep_and_pkill_see_this_instances_processes_alone(self, lab: HostLab, shell: Shell) -> None:
        lab.blank("other")
        other = lab.shell("other")
        assert shell.run("pgrep -f -c 'slee[p] 599'").out == "0\n"
        other.client.exec_command("sleep 599")
        shell.client.exec_command("sleep 599")
        for each in (shell, other):
            until(lambda each=each: each.run("pgrep -f -c 'slee[p] 599'").out != "0\n", "it does not run")  # type: ignore[misc]
        assert shell.run("pgrep -x -c sleep").out == "1\n"
        assert shell.run("pgrep -f -a 'slee[p] 599'").out.endswith("sleep 599\n")
        assert shell.run("sudo -n pkill -f 'slee[p] 599'").status == 0
        until(lambda: shell.run("pgrep -x -c sleep").out == "0\n", "it runs")
        assert shell.run("pkill -KILL -x sleep").status == 1
        assert other.run("pgrep -x -c sleep").out == "1\n"
        lab.delete("other")

    @pytest.mark.parametrize("wrong", ["pgrep -f '('", "pgrep", "pkill -NONSENSE x", "pgrep --no-such x"])
    def test_nonsense(self, shell: Shell, wrong: str) -> None:
        assert shell.run(wrong).status == 2


class TestCurl:
    def test_what_is_asked(self, shell: Shell, url: str) -> None:
        ran = shell.run(f"curl -s -H 'host: example.org' -H 'X-A: b' '{url}/a?b=c d'".replace(" d'", "%20d'"))
        asked = json.loads(ran.out)
        assert (asked["method"], asked["path"], asked["host"]) == ("GET", "/a?b=c%20d", "example.org")
        assert asked["headers"]["X-A"] == "b"
        assert list(map(str.lower, asked["headers"])).count("host") == 1

    def test_a_form(self, shell: Shell, url: str) -> None:
        asked = json.loads(shell.run(f"curl -s -d a=1 --data-urlencode 'b=2 3&' {url}").out)
        assert (asked["method"], asked["body"], asked["path"]) == ("POST", "a=1&b=2%203%26", "/")
        asked = json.loads(shell.run(f"curl -s -G -d a=1 {url}/x?y=2").out)
        assert (asked["method"], asked["path"]) == ("GET", "/x?y=2&a=1")

    def test_statuses_redirects_and_failures(self, shell: Shell, url: str) -> None:
        form = "-o /dev/null -w '%{http_code} %{size_download} %{redirect_url} %{content_type}'"
        assert shell.run(f"curl -s {form} {url}/moved").out.split(" ")[2] == f"{url}/there?x=1"
        assert json.loads(shell.run(f"curl -sL {url}/moved").out)["path"] == "/there?x=1"
        assert shell.run(f"curl -s -w '%{{http_code}}' -o /dev/null {url}/missing").out == "404"
        failed = shell.run(f"curl -fsSL {url}/missing")
        assert (failed.status, failed.out) == (22, "")
        assert failed.err == "curl: (22) The requested URL returned error: 404\n"
        assert shell.run("curl -s http://127.0.0.1:1/").status == 7
        assert shell.run(f"curl -s -i {url}").out.startswith("HTTP/1.1 200 OK\r\n")
        assert shell.run(f"curl -s '{url}/a b'").status == 3
        assert shell.run("curl -s ftp://127.0.0.1/").status == 2
        assert shell.run("curl -s").status == 2
        assert shell.run("curl --no-such-option x").status == 2

    def test_another_address_than_the_names(self, shell: Shell, url: str) -> None:
        port = url.rpartition(":")[2]
        asked = json.loads(shell.run(f"curl -s -k --connect-to ::127.0.0.1:{port} http://help.raxx.invalid/x").out)
        assert (asked["host"], asked["path"]) == ("help.raxx.invalid", "/x")
        assert shell.run(f"curl -s --connect-to a:1:b:2 {url}").status == 2

    def test_files(self, shell: Shell, url: str) -> None:
        assert shell.run(f"mkdir -p d; cd d && curl -s -o page {url}/x && test -s page").status == 0
        assert shell.run(f"curl -sS -o nowhere/page {url}").status == 23
        assert shell.run(f"curl -s {url} | head -c 1").out == "{"

    def test_a_config_on_standard_input(self, shell: Shell, url: str) -> None:
        config = f'# c\nurl = "{url}/x?t=\\"1"\n-H "A: b\\\\c"\nrequest: PUT\nsilent\n'.replace('\\"1', "1")
        shown = shell.run("curl -K -", config.replace("request: PUT", "request: POST").encode())
        asked = json.loads(shown.out)
        assert (asked["method"], asked["path"], asked["headers"]["A"]) == ("POST", "/x?t=1", "b\\c")
        assert shell.run("curl -s -K -", b"= =\n").status == 2
        assert shell.run("curl -s -K file", b"").status == 2

    def test_freescouts_releases_are_there(self, shell: Shell) -> None:
        release = "https://github.com/freescout-help-desk/freescout/archive/refs/tags/1.8.145.tar.gz"
        listed = shell.run(f"curl -fsSL {release} | tar -tz | grep -c artisan")
        assert (listed.status, listed.out) == (0, "1\n")


class TestTheRest:
    def test_nc(self, shell: Shell, url: str) -> None:
        port = url.rpartition(":")[2]
        assert shell.run(f"nc -z -w 1 127.0.0.1 {port}").status == 0
        assert shell.run(f"nc -z -w 1 localhost {port}").status == 0
        refused = shell.run("nc -zv -w 1 127.0.0.1 1")
        assert (refused.status, "failed" in refused.err) == (1, True)
        assert shell.run("nc 127.0.0.1 1").status == 2

    def test_packages(self, shell: Shell) -> None:
        assert shell.run("sudo -n apt-get update -q").status == 0
        assert shell.run("sudo -n apt-get install -y -q php-xml").out == "Setting up php-xml ...\n"
        assert shell.run("sudo -n apt-get install -y -q php-xml").out == "0 upgraded, 0 newly installed.\n"
        assert shell.run("sudo -n apt-get moo").status == 100

    def test_users(self, shell: Shell) -> None:
        assert shell.run("id").out == "uid=1000(ubuntu) gid=1000(ubuntu) groups=1000(ubuntu)\n"
        assert shell.run("sudo -n id -u").out == "0\n"
        assert shell.run("id --no-such").status == 1
        assert shell.run("touch f; sudo -n chown -R www-data:www-data f").status == 0
        assert shell.run("sudo -n chown root:root not-there").status == 1
        assert shell.run("sudo -n A=b sh -c 'echo $A'").out == "b\n"
        assert (shell.run("sudo -n").status, shell.run("sudo -n -k").status) == (1, 1)

    def test_names_and_times(self, lab: HostLab, shell: Shell) -> None:
        address = lab.access(NAME)["ipAddress"]
        assert shell.run("hostname").out == f"ip-{address.replace('.', '-')}\n"
        assert shell.run("hostname -I").out == f"{address}\n"
        assert len(shell.run("uptime -s").out) == len("2026-01-01 00:00:00\n")
        assert shell.run("uptime").status == 2

    def test_a_machine_that_is_gone_is_said(self, shell: Shell) -> None:
        ran = shell.run("RAXX_BCP_SANDBOX_HOST_SOCKET=/nowhere systemctl is-active cron")
        assert (ran.status, ran.err) == (69, "systemctl: the machine does not answer\n")
