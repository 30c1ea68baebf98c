# The image of mirrorhook: Python, the locked dependencies and the package, run by an
# unprivileged user. Nothing needs a shell or a package manager, so BASE has none.
#
#   docker buildx build --platform linux/amd64,linux/arm64 .
#
# Everything runs on the platform of the build: an image for another one needs no emulation.
#
# BASE     image with the Python that runs mirrorhook, 3.11 or newer
# BUILDER  image with the same Python, and with pip
# PIP_INDEX_URL, PIP_TRUSTED_HOST and PIP_CERT configure pip
ARG BASE=gcr.io/distroless/python3-debian13
ARG BUILDER=docker.io/library/python:3.13-slim
ARG TARGETARCH
ARG TARGETPLATFORM

FROM --platform=$BUILDPLATFORM ${BUILDER} AS builder
ARG PIP_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_CERT
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements.txt ./

# The wheels of which platforms to use.
FROM builder AS build-amd64
ENV PIP_PLATFORM="manylinux_2_28_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64"

FROM builder AS build-arm64
ENV PIP_PLATFORM="manylinux_2_28_aarch64 manylinux_2_17_aarch64 manylinux2014_aarch64"

FROM build-${TARGETARCH} AS build
# Only wheels: nothing is compiled, and no setup script runs.
RUN ["python3", "-m", "pip", "install", "--require-hashes", "--only-binary=:all:", "--no-compile", \
     "--target=/opt/mirrorhook", "--requirement=requirements.txt"]
# The asyncio client of kubernetes is never imported, and takes a third of the space.
RUN ["python3", "-c", "import shutil; shutil.rmtree('/opt/mirrorhook/kubernetes/aio')"]
COPY webhook /opt/mirrorhook/webhook
COPY LICENSE /opt/mirrorhook/LICENSE
# Compiled files without timestamps, so that each build is identical and they stay valid
# without write access. The models of the Kubernetes client are never imported.
RUN ["python3", "-m", "compileall", "-q", "-j1", "--invalidation-mode=unchecked-hash", \
     "-x=/kubernetes/client/(api|models)/[a-z]", "/opt/mirrorhook"]

# Buildah before 1.33 needs the platform, as it differs from that of the build.
FROM --platform=$TARGETPLATFORM ${BASE}
ARG VERSION=0.1.0
ARG REVISION
LABEL org.opencontainers.image.title="mirrorhook" \
      org.opencontainers.image.description="Rewrites every image of every Pod to a mirror registry" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/mirrorhook/mirrorhook" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /opt/mirrorhook /opt/mirrorhook
# PYTHONSAFEPATH: never import from the working directory.
ENV PYTHONPATH=/opt/mirrorhook \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MIRRORHOOK_CONFIG=/etc/mirrorhook/rules/rules.yaml
# Numeric, so that Kubernetes can verify that the user is not root.
USER 65532:65532
EXPOSE 8443 8080
ENTRYPOINT ["python3", "-m", "webhook"]
CMD ["serve"]
