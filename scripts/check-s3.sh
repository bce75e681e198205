#!/usr/bin/env bash
# Holds hexapla against a real S3 server (moto, in a process of its own) and a plain web server:
# ingest from and into it, SQL over it, a run that is killed, two writers at once.
# usage: check-s3.sh HEXAPLA
# The Python packages (114 MB) go into a scratch folder of their own, once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
hexapla=$(realpath "$1")
packages=${HEXAPLA_CACHE:-$HOME/.cache/hexapla}/check-s3
if [ ! -f "$packages/.ready" ]; then
  echo "installing moto 5.2.5 into $packages (once)" >&2
  python3 -m pip install --quiet --disable-pip-version-check --target "$packages" \
    "moto[s3]==5.2.5" "flask==3.1.3" "flask-cors==6.0.5" >&2
  touch "$packages/.ready"
fi
work=$(mktemp -d)
servers=()
trap 'kill "${servers[@]}" 2> /dev/null || true; rm -rf "$work"' EXIT
cd "$work"
mkdir web
# What the user's own environment says of stores and proxies is about others.
unset "${!AWS_@}"
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
PYTHONPATH=$packages python3 "$here/check_s3.py" serve > port 2> server.log &
servers+=($!)
python3 -u -m http.server --bind 127.0.0.1 --directory web 0 > web.log 2>&1 &
servers+=($!)
for _ in $(seq 300); do
  [ -s port ] && grep -q 'port [0-9]' web.log && break
  sleep 0.1
done
web=http://127.0.0.1:$(sed -n 's/.*port \([0-9]*\).*/\1/p' web.log)
AWS_ENDPOINT_URL=http://127.0.0.1:$(cat port)
export AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID=made AWS_SECRET_ACCESS_KEY=up AWS_REGION=us-east-1
export HEXAPLA_CACHE=$work/cache
PYTHONPATH=$packages python3 "$here/check_s3.py" check "$hexapla" "$web"
