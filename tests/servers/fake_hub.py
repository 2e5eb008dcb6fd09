"""A Hugging Face Hub of a few addresses on this machine, and what it was asked."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

COMMIT = "0123456789012345678901234567890123456789"


class Hub(ThreadingHTTPServer):
    """Repositories in memory: names of files and their bytes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.created: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.asked: list[str] = []
        self.refuses = False
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, content: object = None, *, status: int = 200, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        hub = self.server
        hub.tokens.add(self.headers.get("Authorization"))
        hub.asked.append(f"POST {path}")
        if hub.refuses:
            sent = self.headers.get("Authorization", "")
            return self.answer({"error": f"no right to write with {sent}"}, status=403)
        if path == "/api/repos/create":
            wanted = json.loads(data)
            hub.created.append(wanted)
            name = f"{wanted['organization']}/{wanted['name']}"
            if name in hub.repositories:
                return self.answer({"error": "exists", "url": f"{hub.address}/{name}"}, status=409)
            hub.repositories[name] = {}
            return self.answer({"url": f"{hub.address}/{name}"})
        name = "/".join(path.split("/")[3:5])
        if "/preupload/" in path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(data)["files"]
            ]
            return self.answer({"files": files})
        if "/commit/" in path:
            for line in map(json.loads, data.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    hub.repositories[name][line["value"]["path"]] = content
            url = f"{hub.address}/{name}/commit/{COMMIT}"
            return self.answer({"success": True, "commitOid": COMMIT, "commitUrl": url})
        return self.answer({"valid": True} if "validate-yaml" in path else {}, status=200)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        hub = self.server
        hub.tokens.add(self.headers.get("Authorization"))
        hub.asked.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2])
        files = hub.repositories.get(name)
        if files is None:
            return self.answer({}, status=404, X_Error_Code="RepoNotFound")
        if "/tree/" in path:
            tree = [
                {
                    "type": "file",
                    "path": file,
                    "size": len(data),
                    "oid": sha256(data).hexdigest()[:40],
                }
                for file, data in files.items()
            ]
            return self.answer(tree)
        if parts[0] == "api":
            siblings = [{"rfilename": file} for file in files]
            return self.answer({"id": name, "sha": COMMIT, "siblings": siblings})
        data = files.get(parts[-1])
        if data is None:
            return self.answer({}, status=404, X_Error_Code="EntryNotFound")
        etag = f'"{sha256(data).hexdigest()}"'
        return self.answer(data, X_Repo_Commit=COMMIT, ETag=etag)

    do_HEAD = do_GET


@contextmanager
def fake_hub() -> Iterator[Hub]:
    """A hub that answers until the end of the block."""
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
