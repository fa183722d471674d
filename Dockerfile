# The server, `codecframe serve`, without torch:
#
#   docker build -t codecframe .
#   docker run -p 8000:8000 -e CODECFRAME_TOKEN -v "$PWD:/models:ro" codecframe --head /models/model.onnx
#
# EXTRAS are those of pyproject.toml; `efficientnet` brings torch and EfficientNet-Lite0.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ARG EXTRAS=serve,learned,onnx,heic
COPY . /src
RUN python -m venv /opt/codecframe \
    && /opt/codecframe/bin/pip install --no-cache-dir --only-binary :all: \
        --constraint /src/constraints.txt "/src[${EXTRAS}]"

FROM python:${PYTHON}-slim
COPY --from=build /opt/codecframe /opt/codecframe
RUN useradd --system --no-create-home --uid 10001 codecframe
USER 10001
ENV PATH=/opt/codecframe/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /models
EXPOSE 8000

# With --tls-cert set HEALTH_URL to https://...; the certificate is for another name than this one.
ENV HEALTH_URL=http://127.0.0.1:8000/healthz
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", "\
import os, ssl, urllib.request; \
urllib.request.urlopen(os.environ['HEALTH_URL'], timeout=4, context=ssl._create_unverified_context())"]

STOPSIGNAL SIGTERM
ENTRYPOINT ["codecframe", "serve", "--host", "0.0.0.0"]
CMD ["--help"]
