#!/bin/bash
# install.sh puts the foreign programs that tests with the build tag "peers" run
# on this machine: Sendmail, Postfix, OpenDKIM, postsrsd, miltertest, libmilter, and
# by scanners.sh clamd, spamd and rspamd. Debian 12.
#
#   internal/peertest/install.sh            install what is missing, say what is there
#   GOMILTER_PEERS=/dir .../install.sh      unpack below /dir, not /opt/gomilter-peers
#
# Daemons are unpacked below the prefix and never installed: sendmail and postfix
# conflict as packages, and no service of this machine may change or start.
# Libraries and plain tools come from apt. Run as root; running it again costs a
# second and changes nothing. Exit 0 means that every peer is usable.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=${GOMILTER_PEERS:-/opt/gomilter-peers}

# Unpacked only.
daemons=(postfix sendmail-bin sendmail-base sendmail-cf opendkim sasl2-bin postsrsd)
# Installed: none of these starts anything.
tools=(m4 patchelf curl mandoc zsh fish miltertest opendkim-tools swaks python3-milter python3-dkim python3-nacl libmail-srs-perl libmilter-dev libc6-dev
       # what postfix and sendmail link
       libmilter1.0.1 libdb5.3 libicu72 libnsl2 libldap-2.5-0 liblockfile1 libwrap0 libssl3
       libsasl2-2 libsasl2-modules libsasl2-modules-db
       # what opendkim links
       libopendkim11 libbsd0 liblua5.3-0 libmemcached11 libopendbx1 librbl1 libunbound8 libvbr2)

fail() { printf 'install.sh: %s\n' "$@" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "must run as root: Postfix's master and the users it needs are root's business"
command -v apt-get >/dev/null || fail "needs a Debian 12 machine: apt-get is missing"

mkdir -p "$prefix"
exec 9>"$prefix/.lock"
flock 9

stale="if the package lists of this machine are old, run apt-get update and try again"
log=$(mktemp)
work=
policy=
trap 'rm -f "$log" $policy; [ -z "$work" ] || rm -rf "$work"' EXIT

apt() { apt-get -o DPkg::Lock::Timeout=300 -o APT::Sandbox::User=root -o Acquire::Retries=3 -qq "$@"; }

# ---- libraries and tools

absent() { # prints those of its arguments that are not installed
	local p
	for p; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo "$p"
	done
}

update() { # package lists, when this machine has none
	[ -n "$(apt-cache policy postfix 2>/dev/null | sed -n 's/.*Candidate: \([0-9]\)/\1/p')" ] ||
		apt update >>"$log" 2>&1 || { cat "$log" >&2; fail "apt-get update failed"; }
}

command -v gcc >/dev/null || tools+=(gcc)
mapfile -t missing < <(absent "${tools[@]}")
if [ ${#missing[@]} -gt 0 ]; then
	update
	# Even a tool might one day bring a service along: forbid starting any.
	if [ ! -e /usr/sbin/policy-rc.d ]; then
		policy=/usr/sbin/policy-rc.d
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
	fi
	echo "install.sh: installing ${missing[*]}"
	apt install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1 || {
		# One bad name makes apt refuse them all: try each, to name the bad ones.
		for p in "${missing[@]}"; do
			apt install -y --no-install-recommends "$p" >>"$log" 2>&1 || true
		done
	}
	mapfile -t missing < <(absent "${missing[@]}")
	if [ ${#missing[@]} -gt 0 ]; then
		grep '^[EW]:' "$log" | sort -u >&2 || tail -n 20 "$log" >&2
		fail "these packages could not be installed: ${missing[*]}" "$stale"
	fi
fi

# Postfix insists on a user and a group of its own; their names are private to the peers.
getent group peerpost >/dev/null || groupadd --system peerpost
getent group peerdrop >/dev/null || groupadd --system peerdrop
getent passwd peerpost >/dev/null ||
	useradd --system --gid peerpost --home-dir /nonexistent --no-create-home \
	        --shell /usr/sbin/nologin peerpost

# ---- daemons

stamp=$( (echo "$prefix"; cat "$here/install.sh" "$here/testdata/peershim.c") | sha256sum | cut -c1-32)
if [ "$(cat "$prefix/.stamp" 2>/dev/null)" != "$stamp" ]; then
	mkdir -p "$prefix/deb"
	for p in "${daemons[@]}"; do
		compgen -G "$prefix/deb/${p}_*.deb" >/dev/null && continue
		update
		(cd "$prefix/deb" && apt download "$p") >>"$log" 2>&1 || {
			grep '^[EW]:' "$log" >&2 || true
			fail "package $p could not be downloaded" "$stale"
		}
	done
	work=$(mktemp -d "$prefix/.work.XXXXXX")
	mkdir "$work"/{postfix,sendmail,opendkim,sasl,postsrsd,lib}
	dpkg -x "$prefix"/deb/postfix_*.deb "$work/postfix"
	for p in sendmail-bin sendmail-base sendmail-cf; do
		dpkg -x "$prefix"/deb/"$p"_*.deb "$work/sendmail"
	done
	dpkg -x "$prefix"/deb/opendkim_*.deb "$work/opendkim"
	dpkg -x "$prefix"/deb/sasl2-bin_*.deb "$work/sasl"
	dpkg -x "$prefix"/deb/postsrsd_*.deb "$work/postsrsd"
	# Postfix finds its private libraries by RUNPATH, which names /usr/lib/postfix.
	for f in "$work"/postfix/usr/sbin/* "$work"/postfix/usr/lib/postfix/*.so \
	         "$work"/postfix/usr/lib/postfix/sbin/*; do
		[ -L "$f" ] && continue
		[ "$(head -c4 "$f" | tail -c3)" = ELF ] || continue
		patchelf --set-rpath "$prefix/postfix/usr/lib/postfix" "$f"
	done
	# A set-gid program would not load the shim.
	chmod ug-s "$work/sendmail/usr/libexec/sendmail/sendmail"
	gcc -O2 -Wall -fPIC -shared -o "$work/lib/peershim.so" "$here/testdata/peershim.c"
	chmod 755 "$work"/*
	rm -rf "$prefix"/{postfix,sendmail,opendkim,sasl,postsrsd,lib}
	mv "$work"/* "$prefix/"
	echo "$stamp" >"$prefix/.stamp"
fi

# ---- proof

programs=(sendmail/usr/libexec/sendmail/sendmail postfix/usr/lib/postfix/sbin/master
          postfix/usr/lib/postfix/sbin/smtpd postfix/usr/sbin/postqueue
          opendkim/usr/sbin/opendkim sasl/usr/sbin/saslpasswd2
          postsrsd/usr/sbin/postsrsd lib/peershim.so)
for f in "${programs[@]}"; do
	[ -e "$prefix/$f" ] || fail "$prefix/$f is missing; remove $prefix/.stamp and run again"
	lost=$(ldd "$prefix/$f" | sed -n 's/^[[:space:]]*\(.*\) => not found.*/\1/p' | paste -sd' ')
	[ -z "$lost" ] || fail "$prefix/$f lacks the libraries $lost"
done
for f in gcc m4 curl miltertest swaks; do
	command -v $f >/dev/null || fail "$f is not in PATH"
done

debversion() { basename "$prefix"/deb/"$1"_*.deb | cut -d_ -f2 | sed 's/%3a/:/'; }
printf '%-11s %s\n' prefix "$prefix" \
	sendmail "$(debversion sendmail-bin)" postfix "$(debversion postfix)" opendkim "$(debversion opendkim)" \
	postsrsd "$(debversion postsrsd)"
for p in libmilter1.0.1 miltertest swaks python3-milter libmail-srs-perl; do
	printf '%-11s %s\n' "${p%%[0-9].*}" "$(dpkg-query -W -f '${Version}' $p)"
done

# ---- scanners

GOMILTER_PEERS=$prefix "$here/scanners.sh"
