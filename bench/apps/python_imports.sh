#!/bin/sh
# python3 imports: asyncio, json, sqlite3, http.client, email, decimal.
set -eu
[ "${2:-run}" = run ] || exit 0
command -v /usr/bin/python3 > /dev/null || { echo "python3 is not installed" >&2; exit 77; }
cd "$1"
exec /usr/bin/python3 -c 'import asyncio, json, sqlite3, http.client, email.message, decimal'
