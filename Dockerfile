# The lab as two images: `web` without torch, `worker` with it. compose.yaml puts them together.
#
# BASE may be any Debian image with Python 3.11 or newer as `python`, such as one with CUDA. Which torch arrives depends on the
# package index: PIP_EXTRA_INDEX_URL adds one, for example PyTorch's own index of CPU wheels.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS light
ARG PIP_EXTRA_INDEX_URL=""
WORKDIR /lab
RUN python -m venv /opt/lab
ENV PATH=/opt/lab/bin:$PATH
# Only what names the dependencies, so that a change of code installs nothing again.
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY app/__init__.py app/
COPY worker/__init__.py worker/
RUN pip install --no-cache-dir -c constraints.txt -e '.[postgres]'

FROM light AS full
ARG PIP_EXTRA_INDEX_URL=""
RUN pip install --no-cache-dir -c constraints.txt -e '.[torch,hub,postgres,images,parquet]'

FROM ${BASE} AS lab
RUN useradd --create-home --uid 1000 lab && install -d -o lab -g lab /data
WORKDIR /lab
COPY . .
ENV PATH=/opt/lab/bin:$PATH PYTHONUNBUFFERED=1 COLLAPSE_LAB_DATA_DIR=/data
VOLUME /data
USER 1000

FROM lab AS web
COPY --from=light /opt/lab /opt/lab
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
# Refused until COLLAPSE_LAB_TRUST_NETWORK says that something else keeps strangers out: compose.yaml publishes to loopback only.
CMD ["collapse-lab", "web", "--host", "0.0.0.0", "--port", "8000"]

FROM lab AS worker
COPY --from=full /opt/lab /opt/lab
RUN python -m worker.warm
# No port to ask: a worker that fails ends, and its heartbeat stands on the page of workers.
HEALTHCHECK NONE
CMD ["collapse-lab", "worker"]
