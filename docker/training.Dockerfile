# Training, and putting what it made into a model repository: the pods of `soundflow train submit`.
# CUDA comes with PyTorch's own packages; a node brings its driver.
#   docker build -f docker/training.Dockerfile -t soundflow/training .
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY docker/training.lock docker/
RUN python -m venv /opt/soundflow/venv \
    && /opt/soundflow/venv/bin/pip install --require-hashes --requirement docker/training.lock

FROM python:${PYTHON}
RUN groupadd --gid 1000 soundflow \
    && useradd --uid 1000 --gid 1000 --no-create-home --shell /usr/sbin/nologin soundflow
COPY --from=build /opt/soundflow/venv /opt/soundflow/venv
WORKDIR /opt/soundflow
COPY soundflow soundflow
COPY training training
COPY model_repo model_repo
# What libraries keep for themselves goes where a pod may write.
ENV PATH=/opt/soundflow/venv/bin:$PATH \
    PYTHONPATH=/opt/soundflow \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 1000:1000
CMD ["python", "-m", "training.train", "--help"]
