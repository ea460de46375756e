#!/bin/sh
# Checks the configuration, the alerts and the tests of the alerts in deploy/prometheus with promtool, Prometheus's own tool. On
# Debian and Ubuntu it is installed where it is missing, by root.
set -eu

if ! command -v promtool >/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "make metrics-check needs promtool, which is part of Prometheus: on Debian, apt-get install prometheus" >&2
    exit 1
  fi
  apt-get update -q >/dev/null
  apt-get install -yq --no-install-recommends prometheus >/dev/null
fi
cd deploy/prometheus
promtool check config prometheus.yaml # and the rules that it names
promtool test rules alerts_test.yaml
