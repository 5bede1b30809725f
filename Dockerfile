# Front-end files: Node only in this stage.
FROM node:24-bookworm-slim AS front-end
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --omit=dev

# The virtual environment with the locked packages, the collected static files, the compiled words.
FROM python:3.13-slim-bookworm AS build
ENV PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
RUN python -m venv /venv
COPY requirements/runtime.lock /tmp/runtime.lock
RUN /venv/bin/pip install --no-cache-dir --require-hashes --requirement /tmp/runtime.lock
COPY . .
COPY --from=front-end /build/node_modules ./node_modules
RUN /venv/bin/python -m tools.front_end --copy-only && rm -rf node_modules \
    && /venv/bin/python -m tools.messages compile && /venv/bin/python -m tools.fonts \
    && DJANGO_SETTINGS_MODULE=pamm_platform.settings.collect /venv/bin/python manage.py collectstatic --noinput --verbosity=0 \
    && /venv/bin/python -m compileall -q /app /venv/lib

FROM python:3.13-slim-bookworm
ENV PYTHONUNBUFFERED=1 \
    PATH=/venv/bin:$PATH \
    DJANGO_SETTINGS_MODULE=pamm_platform.settings.production
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin pamm \
    && install --directory --owner=pamm /var/lib/simulator /var/lib/beat /var/lib/seals /var/lib/statements
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
USER pamm
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health/ready', timeout=5)"]
CMD ["gunicorn", "pamm_platform.wsgi", "--bind=0.0.0.0:8000", "--workers=4", "--max-requests=5000", "--max-requests-jitter=500", "--access-logfile=-", "--worker-tmp-dir=/dev/shm"]
