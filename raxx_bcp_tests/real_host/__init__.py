"""Tests on a real Debian under systemd. ``make test-host`` runs them: they need root, and packages of Debian's."""
