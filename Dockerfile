# The page of motionlift in a container.
#
#   docker build -t motionlift .                                 # runs on the CPU
#   docker build -t motionlift --build-arg DEVICE=cuda .         # runs on NVIDIA's GPUs: docker run --gpus all ...
#   docker run -p 127.0.0.1:7860:7860 -v motionlift:/data -e MOTIONLIFT_PASSWORD=... motionlift
#
# The password is asked of the name motionlift; without one it does not start, because a container listens to others.
FROM python:3.12-slim
ARG DEVICE=cpu
# Where PyTorch comes from: its own index has smaller wheels for the CPU; those of the package index bring CUDA.
RUN case "$DEVICE" in \
      cpu) index=https://download.pytorch.org/whl/cpu ;; \
      cuda) index=https://pypi.org/simple ;; \
      *) echo "DEVICE is $DEVICE; allowed are cpu and cuda" >&2; exit 1 ;; \
    esac \
    && echo "$index" > /torch-index
WORKDIR /build
COPY constraints.txt ./
RUN pip install --no-cache-dir --index-url "$(cat /torch-index)" "$(grep '^torch==' constraints.txt)"
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir -c constraints.txt ".[app]" && rm -rf /build/src
RUN useradd --create-home --uid 1000 motionlift && mkdir /data && chown motionlift /data
USER motionlift
WORKDIR /home/motionlift
ENV MOTIONLIFT_CACHE=/data/cache HF_HOME=/data/hub
VOLUME /data
EXPOSE 7860
CMD ["motionlift", "app", "--host", "0.0.0.0", "--port", "7860", "--data", "/data"]
