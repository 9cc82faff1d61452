#!/bin/sh
# Takes from a folder of installed packages what no program runs: `slim.sh SITE_PACKAGES`. For container images.
set -eu
cd "$1"
# Libraries in *.libs are stripped already, and their layout does not bear a second time.
find . -name '*.so*' -type f -not -path './*.libs/*' -exec strip --strip-unneeded {} +
# Sources of extensions, stubs for type checkers, tests and their data.
find . -type f \( -name '*.c' -o -name '*.h' -o -name '*.cpp' -o -name '*.hpp' -o -name '*.pyx' -o -name '*.pxd' \
  -o -name '*.pyi' -o -name '*.a' \) -delete
find . -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
rm -rf temporalio/bridge/sdk-core pydicom/data/test_files
# A wheel holds no links: each library of GDCM is there under three names, of which the loader looks for one.
find _gdcm -name 'lib*.so*' -type f -exec sh -c '
  for file; do
    name=$(readelf -d "$file" | sed -n "s/.*SONAME.*\[\(.*\)\]/\1/p")
    if [ -n "$name" ] && [ "${file##*/}" != "$name" ] && [ -e "${file%/*}/$name" ]; then rm "$file"; fi
  done' sh {} +
