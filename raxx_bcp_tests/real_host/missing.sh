#!/bin/sh
# Can the tests on a real host run here? 77 with one sentence where they cannot; where nothing may be skipped, 1.
missing=
[ "$(uname -s)" = Linux ] || missing=" Linux"
[ "$(id -u)" = 0 ] || missing="$missing root"
for program in debootstrap systemd-nspawn nsenter ip; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
echo "The tests on a real host were left out: they need:$missing." >&2
[ -n "${RAXX_BCP_NO_SKIPS-}" ] && exit 1
exit 77
