# One image for every process: `docker run IMAGE web`, `worker`, `fresh`, `scheduler` or `mail` runs what the
# Procfile says; anything else is run as it stands, e.g. `docker run IMAGE flask db upgrade`.
# No HEALTHCHECK here, since a command has none: with INTERNAL_PORT each process has /livez for
# liveness and /readyz for readiness there (docs/deploy.md).
# 3.11 is the version that the tests run on; newer ones do as well.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    HOST=0.0.0.0 \
    INTERNAL_HOST=0.0.0.0

WORKDIR /srv/preference-center
COPY requirements.lock .
RUN pip install --require-hashes --only-binary :all: -r requirements.lock
COPY app.py Procfile docker-entrypoint.sh ./
COPY migrations migrations
COPY templates templates
COPY preference_center preference_center
COPY workers workers

# For SPOOL_DIR, once a volume is mounted there: a new volume takes over its owner. Else the
# service writes to no file of its own.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/preference-center/spool

USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["/bin/sh", "docker-entrypoint.sh"]
CMD ["web"]
