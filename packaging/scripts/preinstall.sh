#!/bin/sh
# Before files are unpacked, some of which belong to the user.
set -e
getent group gomilter >/dev/null || groupadd --system gomilter
getent passwd gomilter >/dev/null ||
	useradd --system --gid gomilter --comment "gomilter mail filters" --home-dir /var/lib/gomilter --no-create-home \
		--shell /usr/sbin/nologin gomilter
