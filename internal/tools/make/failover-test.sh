#!/bin/sh
# Runs the tests of a PostgreSQL cluster that loses its writer: "failover-test.sh [ARGUMENT of go test...]". Run it in the root
# of the repository.
#
# The tests run in a network namespace of their own, where each PostgreSQL node is a machine at a switch: nothing listens or
# connects outside of it. That takes root, or the right of every user to make namespaces, which Debian gives.
set -eu

: "${GO:=go}"
# Patroni's package leaves the client of its store to the user.
"$(dirname "$0")/apt-install.sh" patroni:patroni,python3-etcd etcd:etcd-server haproxy:haproxy ip:iproute2
namespace="unshare --net"
[ "$(id -u)" = 0 ] || namespace="unshare --user --map-current-user --keep-caps --net"
$namespace true || { echo "the tests need root, or the right to make network namespaces" >&2; exit 1; }
echo "Killing, cutting off and pausing the writer of a PostgreSQL cluster: takes about 13 minutes"
exec "$GO" test -tags failover -exec "$namespace" -run '^TestFailover' -v -count=1 -timeout 60m "$@" ./internal/systemtest
