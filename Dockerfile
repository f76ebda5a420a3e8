# syntax=docker/dockerfile:1
# Images of the three commands: docker build --target client|scheduler|executor -t lode-<target> .
# `docs/CONTAINERS.md` says how they are used, and what of this was run.

FROM rust:1.95.0-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ make cmake git \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# The cache of the registry and of the build stays between builds; the programs leave it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --release --locked --bin lode --bin lode-scheduler --bin lode-executor \
    && install -D -t /programs /target/release/lode /target/release/lode-scheduler /target/release/lode-executor

FROM debian:bookworm-slim AS base
# Certificates for stores that are reached over TLS.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /home/lode lode
USER 10001:10001
WORKDIR /home/lode

FROM base AS client
COPY --from=build /programs/lode /usr/local/bin/lode
ENTRYPOINT ["lode"]
CMD ["--help"]

FROM base AS scheduler
COPY --from=build /programs/lode-scheduler /usr/local/bin/lode-scheduler
# Clients and executors; health and metrics where --status-bind says so.
EXPOSE 50050 9100
STOPSIGNAL SIGTERM
ENTRYPOINT ["lode-scheduler"]

FROM base AS executor
COPY --from=build /programs/lode-executor /usr/local/bin/lode-executor
EXPOSE 50051 9100
STOPSIGNAL SIGTERM
ENTRYPOINT ["lode-executor"]
