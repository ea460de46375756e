#!/bin/sh
# Runs the tests of a PostgreSQL cluster that loses its writer: "failover-test.sh [ARGUMENT of go test...]". Installs what is
# missing with apt-get. Run it in the root of the repository.
#
# The tests run in a network namespace of their own, where each PostgreSQL node is a machine at a switch: nothing listens or
# connects outside of it. That takes root, or the right of every user to make namespaces, which Debian gives.
set -eu

: "${GO:=go}"
PATH=$PATH:/usr/sbin:/sbin
missing=
for each in patroni:patroni etcd:etcd-server haproxy:haproxy ip:iproute2; do
  command -v "${each%:*}" >/dev/null || missing="$missing ${each#*:}"
done
if [ -n "$missing" ]; then
  command -v apt-get >/dev/null || { echo "not installed:$missing; get them from your package manager" >&2; exit 1; }
  echo "Installing$missing"
  sudo=
  [ "$(id -u)" = 0 ] || sudo="sudo -n"
  $sudo apt-get update -q >/dev/null
  # Debian starts what it installs, unless this file forbids it. Patroni's package leaves the client of its store to the user.
  $sudo env DEBIAN_FRONTEND=noninteractive sh -c '
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
      trap "rm -f $policy" EXIT
      printf "#!/bin/sh\nexit 101\n" >$policy
      chmod 755 $policy
    fi
    apt-get install -yq --no-install-recommends "$@"' - $missing python3-etcd >/dev/null
fi
namespace="unshare --net"
[ "$(id -u)" = 0 ] || namespace="unshare --user --map-current-user --keep-caps --net"
$namespace true || { echo "the tests need root, or the right to make network namespaces" >&2; exit 1; }
echo "Killing, cutting off and pausing the writer of a PostgreSQL cluster: takes about 20 minutes"
exec "$GO" test -tags failover -exec "$namespace" -run '^TestFailover' -v -count=1 -timeout 60m "$@" ./internal/systemtest
