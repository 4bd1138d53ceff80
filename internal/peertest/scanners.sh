#!/bin/bash
# scanners.sh puts the scanners that tests with the build tag "peers" run on this
# machine: ClamAV's clamd, SpamAssassin's spamd, rspamd. Debian 12. install.sh calls
# it; it can be called alone.
#
#   internal/peertest/scanners.sh           install what is missing, say what is there
#   GOMILTER_PEERS=/dir .../scanners.sh     unpack below /dir, not /opt/gomilter-peers
#
# They are unpacked below the prefix, with the Perl modules and the libraries that
# few machines have, and never installed: no service of this machine starts. No
# signatures and no rules are fetched; the tests bring their own. Run as root.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=${GOMILTER_PEERS:-/opt/gomilter-peers}

# Unpacked only.
packages=(clamav-daemon libclamav12 libmspack0
          spamassassin spamd libhtml-parser-perl libhtml-tagset-perl liburi-perl libsocket6-perl
          libsys-hostname-long-perl libnet-dns-perl libnet-ip-perl libnetaddr-ip-perl libdigest-hmac-perl
          rspamd libhyperscan5 libluajit-5.1-2 libluajit-5.1-common)
# Installed: none of these starts anything.
libraries=(libcurl4 libjson-c5 libpcre2-8-0 libxml2 libncurses6 libtinfo6 libsystemd0 libglib2.0-0 libicu72
           libsodium23 libsqlite3-0 libunwind8 libstdc++6 libssl3 zlib1g libbz2-1.0 perl util-linux)

fail() { printf 'scanners.sh: %s\n' "$@" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "must run as root: the scanners run as another user"
command -v apt-get >/dev/null || fail "needs a Debian 12 machine: apt-get is missing"

mkdir -p "$prefix"
exec 8>"$prefix/.lock-scanners"
flock 8

stale="if the package lists of this machine are old, run apt-get update and try again"
log=$(mktemp)
work=
trap 'rm -f "$log"; [ -z "$work" ] || rm -rf "$work"' EXIT

apt() { apt-get -o DPkg::Lock::Timeout=300 -o APT::Sandbox::User=root -o Acquire::Retries=3 -qq "$@"; }

update() { # package lists, when this machine has none
	[ -n "$(apt-cache policy rspamd 2>/dev/null | sed -n 's/.*Candidate: \([0-9]\)/\1/p')" ] ||
		apt update >>"$log" 2>&1 || { cat "$log" >&2; fail "apt-get update failed"; }
}

missing=()
for p in "${libraries[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
	update
	echo "scanners.sh: installing ${missing[*]}"
	apt install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1 || {
		grep '^[EW]:' "$log" | sort -u >&2 || tail -n 20 "$log" >&2
		fail "these packages could not be installed: ${missing[*]}" "$stale"
	}
fi

stamp=$( (echo "$prefix"; cat "$here/scanners.sh") | sha256sum | cut -c1-32)
if [ "$(cat "$prefix/.stamp-scanners" 2>/dev/null)" != "$stamp" ]; then
	mkdir -p "$prefix/deb"
	for p in "${packages[@]}"; do
		compgen -G "$prefix/deb/${p}_*.deb" >/dev/null && continue
		update
		(cd "$prefix/deb" && apt download "$p") >>"$log" 2>&1 || {
			grep '^[EW]:' "$log" >&2 || true
			fail "package $p could not be downloaded" "$stale"
		}
	done
	work=$(mktemp -d "$prefix/.work.XXXXXX")
	for p in "${packages[@]}"; do
		dpkg -x "$prefix"/deb/"$p"_*.deb "$work"
	done
	chmod 755 "$work"
	rm -rf "$prefix/scanners"
	mv "$work" "$prefix/scanners"
	work=
	echo "$stamp" >"$prefix/.stamp-scanners"
fi

# ---- proof

root=$prefix/scanners
for f in usr/sbin/clamd usr/bin/rspamd; do
	[ -e "$root/$f" ] || fail "$root/$f is missing; remove $prefix/.stamp-scanners and run again"
	lost=$(LD_LIBRARY_PATH=$root/usr/lib/$(uname -m)-linux-gnu:$root/usr/lib/rspamd ldd "$root/$f" |
		sed -n 's/^[[:space:]]*\(.*\) => not found.*/\1/p' | paste -sd' ')
	[ -z "$lost" ] || fail "$root/$f lacks the libraries $lost"
done
perl -I"$root/usr/share/perl5" -I"$root/usr/lib/$(uname -m)-linux-gnu/perl5/5.36" -MMail::SpamAssassin -e 1 ||
	fail "SpamAssassin does not load"
command -v setpriv >/dev/null || fail "setpriv is not in PATH"

for p in clamav-daemon spamd rspamd; do
	printf '%-11s %s\n' "${p%-daemon}" "$(basename "$prefix"/deb/"$p"_*.deb | cut -d_ -f2 | sed 's/%3a/:/')"
done
