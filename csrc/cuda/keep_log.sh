#!/bin/sh
# Runs a compiler whose last argument is the object, keeps what it says in OBJECT.log, and shows that only when it fails.
for object in "$@"; do :; done
"$@" >"$object.log" 2>&1 && exit 0
status=$?
cat "$object.log" >&2
exit $status
