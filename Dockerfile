# footfall as an image: Python, the hashed lock, nothing that compiles. Its home folder is a volume. docs/deploy.md says how it is run.
FROM python:3.12-slim

ENV FOOTFALL_HOME=/var/lib/footfall \
    HOME=/var/lib/footfall \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_RUNTIME_DIR=/var/lib/footfall/run

RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/footfall footfall

WORKDIR /opt/footfall
COPY requirements.txt ./
RUN pip install --no-cache-dir --only-binary :all: --require-hashes -r requirements.txt

COPY LICENSE README.md pyproject.toml ./
COPY admin_app admin_app
COPY footfall footfall
COPY ingest_app ingest_app
COPY pipelines pipelines
COPY transforms transforms
COPY warehouse warehouse
RUN pip install --no-cache-dir --no-deps .
COPY deploy/backup.sh deploy/

# beside it the sources would be imported in place of what was installed
WORKDIR /var/lib/footfall
USER 10001
VOLUME /var/lib/footfall

HEALTHCHECK --interval=15s --timeout=10s --start-period=120s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
ENTRYPOINT ["footfall"]
CMD ["up"]
