#!/bin/sh
# package.sh deb|rpm ... makes packages below OUT (out), for each architecture of ARCHS
# (amd64 arm64). nfpm is installed where it is missing.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go} OUT=${OUT:-out}
nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4

# A tool of the project, beside its other programs.
[ -x out/tools/nfpm ] || GOOS= GOARCH= GOBIN=$PWD/out/tools $GO install "$nfpm"

VERSION=$(packaging/version.sh)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
export VERSION SOURCE_DATE_EPOCH ARCH ROOT
for ARCH in ${ARCHS:-amd64 arm64}; do
	CGO_ENABLED=0 GOOS=linux GOARCH=$ARCH $GO build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o "$OUT/$ARCH/gomilter" ./cmd/gomilter
	for format; do
		ROOT=$OUT/root-$format-$ARCH
		rm -rf "$ROOT"
		case $format in
		deb) zsh=share/zsh/vendor-completions ;;
		*) zsh=share/zsh/site-functions ;;
		esac
		DESTDIR=$ROOT PREFIX=/usr BINARY=$OUT/$ARCH/gomilter ZSHDIR=$zsh packaging/install.sh install
		chmod -R u=rwX,go=rX "$ROOT"
		find "$ROOT" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
		out/tools/nfpm package --config packaging/nfpm.yaml --packager "$format" --target "$OUT"
		rm -rf "$ROOT"
	done
done
