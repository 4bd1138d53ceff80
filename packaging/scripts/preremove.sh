#!/bin/sh
# dpkg: remove or upgrade; rpm: 0, or 1 for an upgrade.
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac
[ ! -d /run/systemd/system ] || systemctl --quiet disable --now gomilter.service
