#!/bin/sh
# dpkg: configure OLD-VERSION; rpm: 1, or 2 for an upgrade. The service is not enabled,
# and nothing is attached to a mail server.
set -e
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
# A daemon that runs goes on as the new version.
systemctl try-restart gomilter.service || echo "gomilter does not start: see systemctl status gomilter" >&2
