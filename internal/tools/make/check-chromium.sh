#!/bin/sh
# Fails where Chromium is not installed.
for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null && exit
done
echo "Chromium is not installed: get it from your package manager, such as apt-get install chromium" >&2
exit 1
