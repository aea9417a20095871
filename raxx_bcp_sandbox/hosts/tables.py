"""iptables as far as an instance needs it: chains, rules, and the verdict on outgoing connections.

Rules are kept and printed as iptables prints them (``-m conntrack --ctstate RELATED,ESTABLISHED``, whatever the order
in which the states were given). Only the filter table exists.
"""

from __future__ import annotations

import argparse
import ipaddress
from typing import Final, NoReturn

from raxx_bcp_sandbox.hosts.answer import Answer, failed, said

_DEVICE: Final = "eth0"
"""The device to the outside; an instance has no other."""
CHAINS: Final = ("INPUT", "FORWARD", "OUTPUT")
ACCEPT, REJECT = "ACCEPT", "REJECT"
_TARGETS: Final = (ACCEPT, "DROP", REJECT)
_STATES: Final = ("INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED")
_CHAIN_MISSING: Final = "No chain/target/match by that name."


class _RefusedError(Exception):
    """The command line is wrong: the program's own words."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _RefusedError(message)


def _parser() -> _Parser:
    parser = _Parser(prog="iptables", add_help=False, allow_abbrev=False)
    for flag in ("-P", "-A", "-D", "-I", "-C"):
        parser.add_argument(flag, dest=flag[1], nargs="+")
    for flag in ("-S", "-L", "-F"):
        parser.add_argument(flag, dest=flag[1], nargs="*")
    parser.add_argument("-w", "--wait", nargs="?")
    parser.add_argument("-n", action="store_true")
    parser.add_argument("-t", "--table", default="filter")
    parser.add_argument("-o", "--out-interface", dest="out")
    parser.add_argument("-p", "--protocol", dest="protocol")
    parser.add_argument("-d", "--destination", dest="destination")
    parser.add_argument("--dport", "--destination-port", dest="dport")
    parser.add_argument("-m", "--match", dest="match", action="append", default=[])
    parser.add_argument("--ctstate", "--state", dest="states")
    parser.add_argument("-j", "--jump", dest="target")
    return parser


class Rule:
    """One rule of a chain."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.out: str = given.out or ""
        self.protocol: str = given.protocol or ""
        self.destination: str = given.destination or ""
        self.dport: str = given.dport or ""
        wanted = set((given.states or "").split(",")) - {""}
        if wanted - set(_STATES):
            raise _RefusedError(f'Bad ctstate "{given.states}"')
        self.states = tuple(each for each in _STATES if each in wanted)
        self.target: str = given.target or ""
        if self.target not in _TARGETS:
            raise _RefusedError(_CHAIN_MISSING)

    def text(self, chain: str) -> str:
        """As ``iptables -S`` prints it."""
        words = ["-A", chain]
        words += ["-d", self._network()] if self.destination else []
        words += ["-o", self.out] if self.out else []
        words += ["-p", self.protocol] if self.protocol else []
        words += ["-m", self.protocol, "--dport", self.dport] if self.dport else []
        words += ["-m", "conntrack", "--ctstate", ",".join(self.states)] if self.states else []
        return " ".join([*words, "-j", self.target])

    def _goes_through(self, device: str) -> bool:
        """``br-+`` is every device whose name begins with ``br-``."""
        return device.startswith(self.out[:-1]) if self.out.endswith("+") else device == self.out

    def _network(self) -> str:
        return str(ipaddress.ip_network(self.destination, strict=False))

    def matches_new(self, address: str, port: int, *, loopback: bool) -> bool:
        """Does it decide about a new TCP connection to ``address``:``port``?"""
        if self.states and "NEW" not in self.states:
            return False
        if self.out and not self._goes_through("lo" if loopback else _DEVICE):
            return False
        if self.protocol not in ("", "tcp", "all") or self.dport not in ("", str(port)):
            return False
        if not self.destination:
            return True
        try:
            return ipaddress.ip_address(address) in ipaddress.ip_network(self.destination, strict=False)
        except ValueError:
            return False  # a name: rules contain only addresses


class Tables:
    """The filter table of one IP version. All open at boot."""

    def __init__(self) -> None:
        self.policies = dict.fromkeys(CHAINS, ACCEPT)
        self.rules: dict[str, list[Rule]] = {chain: [] for chain in CHAINS}

    def lets_out(self, address: str, port: int, *, loopback: bool = False) -> bool:
        """May a new TCP connection be made?"""
        return self.verdict(address, port, loopback=loopback) == ACCEPT

    def verdict(self, address: str, port: int, *, loopback: bool = False) -> str:
        """The verdict on a new TCP connection: ``ACCEPT``, ``REJECT`` (refused at once), ``DROP`` (times out)."""
        for rule in self.rules["OUTPUT"]:
            if rule.matches_new(address, port, loopback=loopback):
                return rule.target
        return self.policies["OUTPUT"]

    def shown(self, *chains: str) -> str:
        """What ``iptables -S`` prints for ``chains``; without any, for all."""
        chosen = chains or CHAINS
        lines = [f"-P {chain} {self.policies[chain]}" for chain in chosen]
        lines += [rule.text(chain) for chain in chosen for rule in self.rules[chain]]
        return "\n".join(lines) + "\n"

    def command(self, arguments: list[str], *, applies: bool = True) -> Answer:
        """Carry out one command line. ``applies`` False: report success and change nothing."""
        before = (dict(self.policies), {chain: list(rules) for chain, rules in self.rules.items()})
        try:
            answer = self._carry_out(_parser().parse_args(arguments))
        except (_RefusedError, ValueError) as refusal:
            return failed(f"iptables: {refusal}", 2)
        if not applies:
            self.policies, self.rules = before
        return answer

    def _carry_out(self, given: argparse.Namespace) -> Answer:
        if given.table != "filter":
            raise _RefusedError(f"can't initialize iptables table `{given.table}'")
        if given.P is not None:
            return self._set_policy(given.P)
        if given.S is not None:
            return said(self.shown(*(self._chain(each) for each in given.S)))
        if given.L is not None:
            return said(self.shown(*(self._chain(each) for each in given.L)))
        if given.F is not None:
            for chain in given.F or CHAINS:
                self.rules[self._chain(chain)].clear()
            return Answer()
        return self._change(given)

    def _set_policy(self, words: list[str]) -> Answer:
        chain, policy = (*words, "")[:2]
        if policy not in _TARGETS[:2]:
            raise _RefusedError(f"Bad policy name {policy!r}.")
        self.policies[self._chain(chain)] = policy
        return Answer()

    def _change(self, given: argparse.Namespace) -> Answer:
        if given.A is not None:
            self.rules[self._chain(given.A[0])].append(Rule(given))
        elif given.I is not None:
            place = int(given.I[1]) if len(given.I) > 1 else 1
            rules = self.rules[self._chain(given.I[0])]
            if not 1 <= place <= len(rules) + 1:
                raise _RefusedError("Index of insertion too big.")
            rules.insert(place - 1, Rule(given))
        elif given.D is not None:
            self._delete(given)
        elif given.C is not None:
            self._position(self._chain(given.C[0]), Rule(given))
        else:
            raise _RefusedError("no command specified")
        return Answer()

    def _delete(self, given: argparse.Namespace) -> None:
        chain = self._chain(given.D[0])
        if len(given.D) == 1:
            del self.rules[chain][self._position(chain, Rule(given))]
            return
        place = int(given.D[1])
        if not 1 <= place <= len(self.rules[chain]):
            raise _RefusedError("Index of deletion too big.")
        del self.rules[chain][place - 1]

    def _position(self, chain: str, rule: Rule) -> int:
        texts = [each.text(chain) for each in self.rules[chain]]
        if rule.text(chain) not in texts:
            raise _RefusedError("Bad rule (does a matching rule exist in that chain?).")
        return texts.index(rule.text(chain))

    @staticmethod
    def _chain(name: str) -> str:
        if name not in CHAINS:
            raise _RefusedError(_CHAIN_MISSING)
        return name
