# Triton with the models' code, what it imports, and weights.
#   docker build -f docker/triton.Dockerfile -t soundflow/triton .
# TRITON: a release with Python 3.11 or newer, which 24.11 was the first to have.
ARG TRITON=25.08-py3

FROM nvcr.io/nvidia/tritonserver:${TRITON} AS build
# Weights to put in, as `soundflow models list` names them; "" where a volume brings them.
ARG WEIGHTS=cascade
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 \
    PYTHONPATH=/opt/soundflow/site:/opt/soundflow \
    SOUNDFLOW_MODELS=/opt/soundflow/models
WORKDIR /opt/soundflow
COPY docker/triton.lock docker/
RUN python3 -m pip install --require-hashes --target site --requirement docker/triton.lock
COPY soundflow soundflow
RUN mkdir -p models \
    && if [ -n "${WEIGHTS}" ]; then \
        python3 -c "from soundflow.checkpoint import expand, fetch; \
            [fetch(name) for name in expand('${WEIGHTS}')]"; \
    fi

FROM nvcr.io/nvidia/tritonserver:${TRITON}
COPY --from=build /opt/soundflow /opt/soundflow
COPY model_repo /opt/soundflow/model_repo
# Models' processes may run isolated, deaf to PYTHONPATH; what Python's own folder names, all see.
COPY docker/soundflow.pth /opt/soundflow/
RUN cp /opt/soundflow/soundflow.pth \
    "$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
ENV PYTHONDONTWRITEBYTECODE=1 \
    SOUNDFLOW_MODELS=/opt/soundflow/models
USER 1000:1000
CMD ["tritonserver", "--model-repository=/opt/soundflow/model_repo"]
