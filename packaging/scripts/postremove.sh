#!/bin/sh
# dpkg: remove, purge and others; rpm: 0, or 1 for an upgrade, and never purge.
set -e
case "$1" in
remove | 0)
	[ ! -d /run/systemd/system ] || systemctl daemon-reload
	;;
purge)
	rm -rf /var/lib/gomilter /var/log/gomilter
	[ ! -d /etc/gomilter ] || rmdir --ignore-fail-on-non-empty /etc/gomilter
	# A process that still runs as the user keeps it.
	! getent passwd gomilter >/dev/null || userdel gomilter || echo "the user gomilter stays" >&2
	! getent group gomilter >/dev/null || groupdel gomilter || echo "the group gomilter stays" >&2
	;;
esac
