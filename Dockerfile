# One image for every process and command, as `preference-center` names them: `docker run IMAGE web`,
# `worker`, `fresh`, `scheduler`, `publisher` or `mail`; `docker run IMAGE db upgrade`.
# 3.11 is the version that the tests run on; newer ones do as well.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS packages

# Every extra but Spark and the servers of the demo.
COPY requirements-image.lock .
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check \
    --require-hashes --only-binary :all: -r requirements-image.lock

FROM python:${PYTHON}-slim

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    INTERNAL_HOST=0.0.0.0 \
    INTERNAL_PORT=8001

WORKDIR /srv/preference-center
COPY --from=packages /opt/venv /opt/venv
COPY app.py Procfile ./
COPY migrations migrations
COPY templates templates
COPY preference_center preference_center
COPY workers workers

# For SPOOL_DIR, once a volume is mounted there: a new volume takes over its owner. Else the
# service writes to no file of its own but in /tmp, so the root file system may be read-only.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/preference-center/spool

USER 10001:10001
EXPOSE 8000 8001
# Alive, whatever the database does. /readyz is for the proxy, /healthz for alerts, on the same port.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"INTERNAL_PORT\"]}/livez', timeout=4)"]
ENTRYPOINT ["python", "-m", "preference_center"]
CMD ["web"]
