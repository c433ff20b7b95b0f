#!/bin/sh
# `web`, `worker`, `fresh`, `scheduler`, `publisher` and `mail` stand for the Procfile's commands; anything else is run as it is.
set -eu
case "${1:-}" in
    web | worker | fresh | scheduler | publisher | mail) eval "exec $(sed -n "s/^$1: //p" Procfile)" ;;
    *) exec "$@" ;;
esac
