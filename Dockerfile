# Lanterna in a container: `docker build .` or, for NVIDIA's cards, `docker build --build-arg GPU=cuda .`; compose.yaml
# does both. It is laid out as a bundle is: app/ with the program, .venv beside it, films and settings in /lanterna.
ARG GPU=cpu

FROM python:3.11-slim-bookworm AS program
RUN useradd --create-home --uid 1000 lanterna \
 && mkdir -p /opt/lanterna/app /lanterna/data /lanterna/outputs \
 && chown -R lanterna:lanterna /opt/lanterna /lanterna
USER 1000
WORKDIR /opt/lanterna/app
ENV LANTERNA_HOME=/lanterna PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
# only what the set-up reads, so that a change of the program does not install everything again
COPY --chown=lanterna:lanterna launch.py requirements.txt requirements.lock ./
COPY --chown=lanterna:lanterna installer installer
COPY --chown=lanterna:lanterna studio/__init__.py studio/
RUN echo '{"version": "", "platform": "container", "commit": "", "releases": ""}' > bundle.json

FROM program AS cpu-packages
RUN python launch.py install --cpu --no-shortcut

FROM program AS cuda-packages
USER 0
# Triton compiles a small launcher for each kernel
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc=4:12* libc6-dev=2.36* \
 && rm -rf /var/lib/apt/lists/*
USER 1000
RUN python launch.py install --cuda --no-shortcut
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM ${GPU}-packages
WORKDIR /opt/lanterna/app
COPY --chown=lanterna:lanterna packaging/docker/ /opt/lanterna/
COPY --chown=lanterna:lanterna assets assets
COPY --chown=lanterna:lanterna studio studio
RUN python -m compileall -q .
EXPOSE 7860
VOLUME ["/lanterna/data", "/lanterna/outputs"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "/opt/lanterna/healthy.py"]
ENTRYPOINT ["/opt/lanterna/entrypoint.sh"]
