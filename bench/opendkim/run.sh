#!/bin/sh
# run.sh has OpenDKIM verify what the benchmark sends: on $MILTER_ADDR, with the public keys
# in $MILTER_DNS. It logs nothing, as gomilter does there. OPENDKIM names the program; the
# default is the one that internal/peertest/install.sh unpacks.
set -eu
addr=${MILTER_ADDR#unix:}
[ "$addr" = "$MILTER_ADDR" ] || addr=local:$addr
conf=$MILTER_DNS/opendkim.conf
cat >"$conf" <<EOF
Socket $addr
UMask 000
Background no
Syslog no
Mode v
AlwaysAddARHeader yes
AuthservID mx.example.org
TestPublicKeys $MILTER_DNS/keys
EOF
exec "${OPENDKIM:-${GOMILTER_PEERS:-/opt/gomilter-peers}/opendkim/usr/sbin/opendkim}" -x "$conf"
