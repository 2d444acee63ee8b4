#!/usr/bin/env bash
# Installs what the tests need of other package registries into node_modules/.cache/strongroom-clients: hvac and moto (a
# stand-in for AWS) in Python environments of their own, and a Go program over the API client of OpenBao. Versions and
# hashes are in python/*.txt and go/go.sum. All of it, or what is named: install.sh [hvac|go|moto]…
# Nothing outside of that folder is changed but the download caches of pip and go.
# What is there already is kept, so that a second run takes no time; two runs at once wait for each other.
set -uo pipefail
here=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(CDPATH='' cd "$here/../.." && pwd)
cache=$root/node_modules/.cache/strongroom-clients
lock=$cache/lock
LOCK_WAIT_SECONDS=900
GO_MINOR_NEEDED=25 # as go/go.mod says
exec </dev/null

fail() {
  echo "test/clients/install.sh: $1" >&2
  exit 1
}

# Runs a step silently; what it said is shown when it fails.
run() {
  local what=$1 said
  shift
  said=$("$@" 2>&1) || { echo "$said" >&2; fail "$what failed: $*"; }
}

digest() { cat "$@" | cksum | tr ' ' -; }

# A folder is made by one process only. A lock whose owner is gone is taken away.
take_lock() {
  local waited=0 owner
  until mkdir "$lock" 2>/dev/null; do
    owner=$(cat "$lock/pid" 2>/dev/null)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then rm -rf "$lock"; continue; fi
    [ "$waited" -lt "$LOCK_WAIT_SECONDS" ] || fail "waited $waited seconds for $lock; remove it if no other install runs"
    sleep 1
    waited=$((waited + 1))
  done
  echo $$ > "$lock/pid"
  trap 'rm -rf "$lock"' EXIT
}

# install_python FOLDER REQUIREMENTS MODULE: packages in a Python environment of their own.
install_python() {
  command -v python3 >/dev/null || fail 'python3 is missing (Debian: apt-get install python3 python3-venv)'
  local home=$cache/$1 list=$here/python/$2 wanted
  wanted="$(python3 --version 2>&1) $(digest "$list")"
  [ "$(cat "$home/installed" 2>/dev/null)" = "$wanted" ] && "$home/bin/python" -c "import $3" 2>/dev/null && return
  rm -rf "$home"
  run 'making the Python environment (Debian: apt-get install python3-venv)' python3 -m venv "$home"
  run "installing $3" "$home/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
    --no-deps --only-binary :all: --require-hashes -r "$list"
  run "loading $3" "$home/bin/python" -c "import $3"
  echo "$wanted" > "$home/installed"
  echo "test/clients: $3 is installed"
}

install_go_client() {
  # A toolchain is never fetched: a Go that is too old is told as such.
  export GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0
  command -v go >/dev/null || fail "go is missing (1.$GO_MINOR_NEEDED or newer)"
  local version minor wanted
  version=$(go env GOVERSION)
  minor=${version#go1.}
  minor=${minor%%[!0-9]*}
  [ "${minor:-0}" -ge "$GO_MINOR_NEEDED" ] || fail "go 1.$GO_MINOR_NEEDED or newer is needed, found $version"
  wanted="$version $(digest "$here"/go/*.go "$here/go/go.mod" "$here/go/go.sum")"
  [ "$(cat "$cache/go/installed" 2>/dev/null)" = "$wanted" ] && [ -x "$cache/go/client" ] && return
  rm -rf "$cache/go"
  mkdir -p "$cache/go" || fail "cannot make $cache/go"
  run 'downloading the Go client' go -C "$here/go" mod download
  run 'building the Go client' go -C "$here/go" build -mod=readonly -buildvcs=false -o "$cache/go/client" .
  echo "$wanted" > "$cache/go/installed"
  echo 'test/clients: the Go client is built'
}

mkdir -p "$cache" || fail "cannot make $cache"
take_lock
[ $# -gt 0 ] || set -- hvac go moto
for each in "$@"; do
  case $each in
    hvac) install_python python requirements.txt hvac ;;
    moto) install_python moto moto.txt moto.server ;;
    go) install_go_client ;;
    *) fail "no such client: $each" ;;
  esac
done
