#!/bin/sh
# Tests the chart of deploy/helm: "helm-check.sh HELM KUBECTL_VALIDATE [ARGUMENT of go test...]". Run it in the root of the
# repository, with INVITED_TEST_POSTGRES_URL.
set -eu

: "${GO:=go}"
helm=$PWD/$1 kubectl_validate=$PWD/$2
shift 2

# The definition of ServiceMonitor, from the Go module of its authors: kubectl-validate has only what Kubernetes itself defines.
operator=github.com/prometheus-operator/prometheus-operator@v0.85.0
definitions=$PWD/build/helm/definitions
test -e "$definitions" || {
  downloaded=$(cd / && GOFLAGS='' "$GO" mod download -json "$operator" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  mkdir -p "$definitions.part"
  cp "$downloaded/example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml" "$definitions.part"
  mv "$definitions.part" "$definitions"
}

# Helm keeps its settings and cache here, and finds no cluster.
export HELM_CONFIG_HOME=$PWD/build/helm/config HELM_CACHE_HOME=$PWD/build/helm/cache HELM_DATA_HOME=$PWD/build/helm/data KUBECONFIG=/dev/null
INVITED_TEST_HELM=$helm INVITED_TEST_KUBECTL_VALIDATE=$kubectl_validate INVITED_TEST_KUBERNETES_DEFINITIONS=$definitions \
  "$GO" test -tags helm -run '^TestHelm' -count=1 "$@" ./internal/systemtest
