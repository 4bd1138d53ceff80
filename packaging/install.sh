#!/bin/sh
# install.sh install|uninstall puts gomilter on this machine, or takes it away; make
# calls it. Packages are made of what it installs below DESTDIR.
#
#   PREFIX    /usr/local, or /usr for packages
#   DESTDIR   put before all paths; user and folders for state are not made then
#   OUT       out, where make generated has put what is installed
#   BINARY    the program, OUT/gomilter
#   ZSHDIR    the folder for completions of zsh, below PREFIX
#   PURGE     not empty: uninstall takes configuration, state, logs and the user, too
set -eu
cd "$(dirname "$0")/.."
PREFIX=${PREFIX:-/usr/local} DESTDIR=${DESTDIR:-} OUT=${OUT:-out} PURGE=${PURGE:-}
BINARY=${BINARY:-$OUT/gomilter} ZSHDIR=${ZSHDIR:-share/zsh/site-functions}

# Each file: its mode, where it is, and where it goes.
files() {
	doc=$PREFIX/share/doc/gomilter
	cat <<END
755 $BINARY $PREFIX/bin/gomilter
644 $OUT/gomilter.8.gz $PREFIX/share/man/man8/gomilter.8.gz
644 $OUT/gomilter.toml.5.gz $PREFIX/share/man/man5/gomilter.toml.5.gz
644 $OUT/gomilter.bash $PREFIX/share/bash-completion/completions/gomilter
644 $OUT/_gomilter $PREFIX/$ZSHDIR/_gomilter
644 $OUT/gomilter.fish $PREFIX/share/fish/vendor_completions.d/gomilter.fish
644 packaging/systemd/gomilter.service $PREFIX/lib/systemd/system/gomilter.service
644 packaging/systemd/sysusers.conf $PREFIX/lib/sysusers.d/gomilter.conf
644 packaging/systemd/tmpfiles.conf $PREFIX/lib/tmpfiles.d/gomilter.conf
644 packaging/systemd/gomilter.socket $doc/examples/gomilter.socket
644 LICENSE $doc/copyright
644 $OUT/changelog.gz $doc/changelog.gz
END
	for f in examples/*.toml examples/*.json examples/*.yml; do
		echo "644 $f $doc/$f"
	done
}

# What belongs to the administrator once it is there.
settings() {
	cat <<END
640 examples/null.toml /etc/gomilter/gomilter.toml
644 packaging/logrotate /etc/logrotate.d/gomilter
END
}

put() { # mode from to
	install -D -m "$1" "$2" "$DESTDIR$3"
	case $3 in
	*.service) sed -i "s|/usr/bin/|$PREFIX/bin/|" "$DESTDIR$3" ;;
	esac
}

do_install() {
	[ -n "$DESTDIR" ] || packaging/scripts/preinstall.sh
	files | while read -r mode from to; do put "$mode" "$from" "$to"; done
	settings | while read -r mode from to; do
		[ -e "$DESTDIR$to" ] || put "$mode" "$from" "$to"
	done
	[ -z "$DESTDIR" ] || return 0
	chgrp gomilter /etc/gomilter /etc/gomilter/gomilter.toml
	chmod 750 /etc/gomilter
	install -d -o gomilter -g gomilter -m 750 /var/lib/gomilter /var/log/gomilter
	packaging/scripts/postinstall.sh
}

do_uninstall() {
	[ -n "$DESTDIR" ] || packaging/scripts/preremove.sh remove
	files | while read -r mode from to; do rm -f "$DESTDIR$to"; done
	doc=$DESTDIR$PREFIX/share/doc/gomilter
	for d in "$doc/examples" "$doc"; do
		[ ! -d "$d" ] || rmdir --ignore-fail-on-non-empty "$d"
	done
	[ -z "$PURGE" ] || {
		settings | while read -r mode from to; do rm -f "$DESTDIR$to"; done
		[ ! -d "$DESTDIR/etc/gomilter" ] || rmdir --ignore-fail-on-non-empty "$DESTDIR/etc/gomilter"
	}
	[ -z "$DESTDIR" ] || return 0
	packaging/scripts/postremove.sh remove
	[ -z "$PURGE" ] || packaging/scripts/postremove.sh purge
}

case "${1-}" in
install) do_install ;;
uninstall) do_uninstall ;;
*) echo "usage: install.sh install|uninstall" >&2; exit 64 ;;
esac
