#!/bin/sh
# Makes the archives here with programs that are not ours: p7zip, genisoimage, Info-ZIP's
# zip, bzip2 and xz. The payloads are text; what looks like a program is "MZ" and text.
set -eux
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export TZ=UTC
mkdir -p files/sub
printf 'MZ this is no program, only its first bytes' >files/invoice.exe
printf 'plain text, the same again, plain text, the same again\n' >files/readme.txt
printf 'text in a folder\n' >files/sub/Größe.txt
: >files/empty.txt
(cd files && zip -q -X ../inner.zip invoice.exe readme.txt)
cp inner.zip files/nested.zip
find files -exec touch -d 2026-01-02T03:04:06Z {} +
cd files
seven() { 7z a -bd -y "$@" >/dev/null; }
seven -m0=lzma -ms=on "$work/lzma.7z" .
seven -m0=lzma2 -ms=on "$work/lzma2.7z" .
seven -m0=copy -mhc=off "$work/copy.7z" .
seven -m0=ppmd "$work/ppmd.7z" .
seven -m0=deflate "$work/deflate.7z" .
seven -m0=bzip2 "$work/bzip2.7z" .
seven -m0=bcj -m1=lzma "$work/bcj.7z" invoice.exe readme.txt
seven -m0=bcj2 -m1=lzma -m2=lzma -m3=lzma -mb0:1 -mb0s1:2 -mb0s2:3 "$work/bcj2.7z" invoice.exe readme.txt
seven -pdenatured "$work/encrypted.7z" .
seven -pdenatured -mhe=on "$work/encrypted-header.7z" .
seven -tzip -mm=deflate64 "$work/deflate64.zip" invoice.exe readme.txt
seven -tzip -mm=bzip2 "$work/bzip2.zip" invoice.exe readme.txt
seven -tzip -mm=lzma "$work/lzma.zip" invoice.exe readme.txt
seven -tzip -mm=deflate -pdenatured -mem=ZipCrypto "$work/zipcrypto.zip" invoice.exe readme.txt
seven -tzip -mm=deflate -pdenatured -mem=AES256 "$work/aes.zip" invoice.exe readme.txt
seven -ttar "$work/seven.tar" .
bzip2 -c "$work/seven.tar" >"$work/seven.tar.bz2"
xz -c --block-size=4096 "$work/seven.tar" >"$work/seven.tar.xz"
lzma -c "$work/seven.tar" >"$work/seven.tar.lzma"
zstd -q -c "$work/seven.tar" >"$work/seven.tar.zst"
genisoimage -quiet -no-pad -J -R -o "$work/joliet.iso" . 2>/dev/null
genisoimage -quiet -no-pad -iso-level 1 -o "$work/plain.iso" -exclude 'Gr*' . 2>/dev/null
genisoimage -quiet -no-pad -udf -o "$work/udf.iso" . 2>/dev/null
cd "$work"
gzip -9n joliet.iso plain.iso udf.iso
cp ./*.7z ./*.zip ./*.tar.* ./*.iso.gz "$here"
