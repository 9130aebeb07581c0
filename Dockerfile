# One image for the service and for the job.
#
#   docker build -t unitscope .                          for the CPU
#   docker build -t unitscope --build-arg DEVICE=gpu .   for NVIDIA GPUs as well; run it with --gpus all
#   docker build -t unitscope --build-arg EXTRAS=distributed,s3 .   for clusters and buckets
#
#   docker run -p 8000:8000 -v "$PWD/indexes:/data:ro" -v "$PWD/photos:/photos:ro" unitscope
#   docker run --user "$(id -u)" -v "$PWD/indexes:/data" -v "$PWD/photos:/photos:ro" unitscope \
#     indexer build /photos --model squeezenet1_1 --weights DEFAULT --out /data/photos

FROM python:3.11-bookworm AS build
ARG DEVICE=cpu
# The user of the image cannot write into it: what is not compiled here is compiled by every process.
ENV UV_COMPILE_BYTECODE=1
WORKDIR /unitscope
COPY Makefile pyproject.toml constraints.txt cpu-overrides.txt ./
RUN make dependencies VENV=/opt/unitscope DEVICE="${DEVICE}"
COPY README.md LICENSE openapi.yaml ./
COPY unitscope unitscope
COPY indexer indexer
COPY service service
ARG EXTRAS=
RUN make install VENV=/opt/unitscope DEVICE="${DEVICE}" EXTRAS="${EXTRAS}" EDITABLE=

FROM python:3.11-slim-bookworm
RUN useradd --system --create-home --uid 10001 unitscope && install --directory --owner=10001 /results
COPY --from=build /opt/unitscope /opt/unitscope
# Whoever runs this may have no home, or a file system of which /tmp alone takes files: weights by name are kept there.
ENV PATH="/opt/unitscope/bin:${PATH}" \
    PYTHONUNBUFFERED=1 \
    TORCH_HOME=/tmp/torch \
    UNITSCOPE_DIRECTORY=/data \
    UNITSCOPE_RESULTS=/results \
    UNITSCOPE_HOST=0.0.0.0 \
    UNITSCOPE_PORT=8000
USER 10001
WORKDIR /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["python", "-c", \
  "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['UNITSCOPE_PORT']}/healthz\", timeout=4)"]
ENTRYPOINT ["python", "-m"]
CMD ["service"]
