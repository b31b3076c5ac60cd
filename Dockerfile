# docker build -t dreamerv3 .                          CPU
# docker build -t dreamerv3-gpu --target gpu .         NVIDIA GPUs
# See docs/install.md.
FROM python:3.12-slim AS base
# MuJoCo draws with EGL, or without a GPU with OSMesa.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libegl1 libosmesa6 procps \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/rllib_dreamerv3
COPY pyproject.toml setup.py README.md LICENSE ./
COPY rllib_dreamerv3 rllib_dreamerv3
COPY rllib_cli rllib_cli
COPY tuned_examples tuned_examples

FROM base AS gpu
RUN pip install --no-cache-dir '.[gpu,dmc,minigrid,export]'
WORKDIR /root
CMD ["rllib", "--help"]

FROM base AS cpu
RUN pip install --no-cache-dir '.[dmc,minigrid,export]'
WORKDIR /root
CMD ["rllib", "--help"]
