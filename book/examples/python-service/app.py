"""Counts its visits in a file, to show where a container's writes end up."""

import os
import socket
from pathlib import Path

from flask import Flask

VISITS = Path(os.environ.get("DATA_DIR", "/data")) / "visits"

app = Flask(__name__)


@app.get("/")
def visit():
    count = int(VISITS.read_text()) + 1 if VISITS.exists() else 1
    VISITS.write_text(str(count))
    return f"visit {count}, answered by {socket.gethostname()}\n"
