# One image for ingestion, perception, decision, response and the `soundflow` command.
#   docker build -f docker/services.Dockerfile -t soundflow/services .
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY docker/build.lock docker/services.lock docker/
RUN python -m venv /opt/soundflow/venv \
    && /opt/soundflow/venv/bin/pip install --require-hashes --requirement docker/services.lock \
    && python -m pip install --require-hashes --requirement docker/build.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY soundflow soundflow
COPY services services
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/soundflow/venv/bin/pip install --no-deps dist/*.whl

FROM python:${PYTHON}
RUN groupadd --gid 1000 soundflow \
    && useradd --uid 1000 --gid 1000 --no-create-home --shell /usr/sbin/nologin soundflow
COPY --from=build /opt/soundflow/venv /opt/soundflow/venv
ENV PATH=/opt/soundflow/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 1000:1000
CMD ["soundflow", "--help"]
