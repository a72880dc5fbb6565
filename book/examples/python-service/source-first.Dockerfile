# syntax=docker/dockerfile:1
FROM python:3.14-slim
RUN useradd --system --uid 10001 app && install -d -o app -g app /data
WORKDIR /app
COPY . .
RUN pip install --no-cache-dir -r requirements.txt
USER app
EXPOSE 8000
CMD ["gunicorn", "--no-control-socket", "--bind=0.0.0.0:8000", "app:app"]
