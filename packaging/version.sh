#!/bin/sh
# The version of packages, by git: 1.2.3 for the tag v1.2.3, 1.2.3+5.gabc1234 five
# commits after it, 0.0.0+5.gabc1234 where there is no tag. dpkg and rpm sort them so.
set -eu
cd "$(dirname "$0")/.."
if tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null); then
	version=${tag#v} count=$(git rev-list --count "$tag..HEAD")
elif count=$(git rev-list --count HEAD 2>/dev/null); then
	version=0.0.0
else
	echo 0.0.0+unknown
	exit
fi
case $version in # 1.2.3-rc1 comes before 1.2.3
*-*) version=${version%%-*}~$(echo "${version#*-}" | tr - .) ;;
esac
[ "$count" = 0 ] || version=$version+$count.g$(git rev-parse --short=7 HEAD)
[ -z "$(git status --porcelain --untracked-files=no)" ] || case $version in
*+*) version=$version.changed ;;
*) version=$version+changed ;;
esac
echo "$version"
