#!/bin/sh
# Prints the first Python that is new enough: $PYTHON if set, else the oldest that will do,
# since wheels for it exist for certain.
for name in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3 python}; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        command -v "$name"
        exit 0
    fi
done
echo "Needs Python 3.11 or newer and found none: install it, or say where: make PYTHON=/path/to/python3" >&2
exit 1
