# One image, every command: `docker run IMAGE worker`, `beat`, `flower`, `sandbox`, `import` ...
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
RUN python -m venv /opt/leadlane
WORKDIR /src
# The dependencies are a layer of their own, so that a change of ours does not install them again.
COPY pyproject.toml ./
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; print(*p['dependencies'], sep='\n')" > requirements.txt \
 && /opt/leadlane/bin/pip install --no-cache-dir -r requirements.txt
COPY README.md LICENSE ./
COPY schemas schemas
COPY tasks tasks
COPY workers workers
COPY ops ops
COPY leadlane leadlane
RUN /opt/leadlane/bin/pip install --no-cache-dir --no-deps .

FROM python:${PYTHON}-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /srv/leadlane leadlane
COPY --from=build /opt/leadlane /opt/leadlane
ENV PATH=/opt/leadlane/bin:$PATH PYTHONUNBUFFERED=1
# leadlane.toml is looked for here.
WORKDIR /srv/leadlane
USER leadlane
ENTRYPOINT ["leadlane"]
CMD ["--help"]
