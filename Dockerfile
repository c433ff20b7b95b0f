# One image for every process and command, as `preference-center` names them: `docker run IMAGE web`,
# `console`, `worker`, `fresh`, `scheduler`, `publisher` or `mail`; `docker run IMAGE db upgrade`.
# BASE_IMAGE is another base image, with Python 3.11 or newer as `python3`: of your registry, say.
ARG BASE_IMAGE=python
# 3.11 is the version that the tests run on; `make test-image` runs on Debian's 3.13. By digest, so
# that a build tomorrow has the same base as today's; .github/dependabot.yml renews it. By hand:
# `docker buildx imagetools inspect python:3.11-slim` prints the digest of today.
FROM python:3.11.17-slim@sha256:45037981b62b34b44602584fccbc4d884d5f7dc92c7ee86bb38a698a79fe1e51 AS python

FROM ${BASE_IMAGE} AS packages
# An index of your own, and what reaches it: docs/deploy.md.
ARG PIP_INDEX_URL=
COPY requirements-build.lock requirements-image.lock ./
# Every extra but Spark and the servers of the demo. dkimpy has no wheel, so it is built, by a
# setuptools that is taken by hash like everything else: without isolation, pip fetches none.
RUN --mount=type=secret,id=ca --mount=type=secret,id=netrc,target=/root/.netrc \
    if [ -e /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
 && python3 -m venv /opt/venv \
 && export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_REQUIRE_HASHES=1 \
 && /opt/venv/bin/pip install --only-binary :all: -r requirements-build.lock \
 && /opt/venv/bin/pip install --only-binary :all: --no-binary dkimpy --no-build-isolation \
    -r requirements-image.lock \
 && /opt/venv/bin/pip uninstall --yes setuptools

FROM ${BASE_IMAGE}

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

# A root file system that is read-only keeps no bytecode, and the official image has none of the
# standard library: without this every start and every command compiles a thousand modules.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash -x /site-packages/ . \
    "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"

# For SPOOL_DIR, once a volume is mounted there: a new volume takes over its owner. Else the
# service writes to no file of its own but in /tmp, so the root file system may be read-only.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/preference-center/spool

USER 10001:10001
EXPOSE 8000 8001 8002
# Alive, whatever the database does. /readyz is for the proxy, /healthz for alerts, on the same port.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"INTERNAL_PORT\"]}/livez', timeout=4)"]
ENTRYPOINT ["python", "-m", "preference_center"]
CMD ["web"]
