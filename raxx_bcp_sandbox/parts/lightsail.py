"""Lightsail: a stand-in with Raxx's two instances, reached through boto3's own variable for its address.

Its instances accept logins: they have their own addresses and ports (``hosts.network``). The environment gives these to
the product where they differ from a real host's.
"""

from __future__ import annotations

import json
import sys

from raxx_bcp.errors import UsageError
from raxx_bcp_sandbox.freescout import SITE
from raxx_bcp_sandbox.hosts import bodies, network
from raxx_bcp_sandbox.part import Launch, Part, Place, Port, http_answers
from raxx_bcp_sandbox.parts import infisical, s3

# The operator's key is the one of S3, the vault's identities are Infisical's: parts that ask for a secret by the same
# name share it.
_ID, _SECRET = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
_POLL_SECONDS = "0.5"
"""Snapshots take three seconds here, not minutes: polling every quarter of a minute would be most of the wait."""
_HOSTS = "hosts"


def _prepare(place: Place) -> None:
    hosts = place.directory / _HOSTS
    hosts.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.directory.chmod(0o700)
    _network(place)


def _network(place: Place) -> network.Network | None:
    """None where the machine has no addresses for instances: the stand-in then has records only, and reports why."""
    try:
        return network.choose(place.directory / _HOSTS)
    except UsageError:
        return None


def _launch(place: Place) -> Launch:
    store, hosts = str(place.directory / "lightsail.sqlite3"), str(place.directory / _HOSTS)
    argv = (sys.executable, "-m", "raxx_bcp_sandbox.lightsail", "--port", str(place.ports["http"]), "--store", store)
    secrets = {f"RAXX_SANDBOX_{name.removeprefix('INFISICAL_')}": value for name, value in place.credentials.items()}
    return Launch((*argv, "--seed", "in-use", "--hosts", hosts), secrets)


def _environment(place: Place) -> dict[str, str]:
    variables = {
        "AWS_ENDPOINT_URL_LIGHTSAIL": place.url(),
        "RAXX_BCP_VAULT_SNAPSHOT__POLL_SECONDS": _POLL_SECONDS,
        "RAXX_BCP_THROWAWAY_INSTANCES__POLL_SECONDS": _POLL_SECONDS,
    }
    net = network.load(place.directory / _HOSTS)
    if net is None:
        return variables
    return {
        **variables,
        "RAXX_BCP_THROWAWAY_INSTANCES__SSH_PORT": str(net.ssh),
        "RAXX_BCP_THROWAWAY_INSTANCES__WORKER_CIDR": "127.0.0.1/32",
        "RAXX_BCP_THROWAWAY_INSTANCES__EGRESS_PROBES": json.dumps([f"{net.sink}:{net.smtp}"]),
        "RAXX_BCP_FREESCOUT__SITE_DIRECTORY": SITE,
        "RAXX_BCP_FREESCOUT__SITE_PORT": str(net.site),
        "RAXX_BCP_VAULT_DRILL__API_PORT": str(net.api),
        "RAXX_BCP_VAULT_DRILL__START_UNITS": json.dumps(["infisical.service"]),
    }


def _tidy(place: Place) -> None:
    """When the stand-in is killed, its instances' processes keep running; not all have the sandbox's own mark."""
    bodies.stop_leftovers(place.directory / _HOSTS)


PART = Part(
    name="lightsail",
    title="Lightsail (stand-in with instances)",
    ports=(Port("http", 8704),),
    credentials={
        **{name: s3.PART.credentials[name] for name in (_ID, _SECRET)},
        **infisical.PART.credentials,
    },
    launch=_launch,
    prepare=_prepare,
    answers=http_answers,
    environment=_environment,
    stand_in=True,
    tidy=_tidy,
)
