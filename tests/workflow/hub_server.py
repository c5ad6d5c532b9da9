"""A stand-in for the Hugging Face Hub on this machine, as far as models need it; its repositories are in memory."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_of_this_test"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = ".safetensors"
"""The ending of the names of files that are uploaded apart from the commit."""


class Hub(ThreadingHTTPServer):
    """Repositories by name, with their files, and the subjects of all commits."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.visibilities: dict[str, str | None] = {}
        self.commits: list[str] = []
        self.stored: dict[str, bytes] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers what `create_repo`, `upload_folder` and `snapshot_download` ask."""

    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, content: object, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_POST(self) -> None:
        body, path = self.body(), self.path.partition("?")[0]
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer({"error": "Invalid username or password."}, 401)
        elif path == "/api/repos/create":
            self.create(json.loads(body))
        elif path.endswith("/preupload/main"):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if LARGE in file["path"] else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self.answer({"files": files})
        elif path.endswith(".git/info/lfs/objects/batch"):
            objects = [entry | self.upload(entry["oid"]) for entry in json.loads(body)["objects"]]
            self.answer({"transfer": "basic", "objects": objects})
        elif path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        else:
            self.commit("/".join(path.split("/")[3:5]), [json.loads(line) for line in body.splitlines()])

    def create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] == "others":
            return self.answer({"error": "You don't have the rights to create a model under others"}, 403)
        if name in self.server.repositories:
            return self.answer({"error": "You already created this model repo", "url": name}, 409)
        self.server.repositories[name] = {}
        self.server.visibilities[name] = asked.get("visibility")
        return self.answer({"url": f"{self.server.address}/{name}", "id": name, "name": name})

    def upload(self, digest: str) -> dict[str, object]:
        return {"actions": {"upload": {"href": f"{self.server.address}/upload/{digest}"}}}

    def do_PUT(self) -> None:
        body, digest = self.body(), self.path.rpartition("/")[2]
        assert hashlib.sha256(body).hexdigest() == digest
        self.server.stored[digest] = body
        self.answer({})

    def commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.server.commits.append(value["summary"])
            elif line["key"] == "file":
                self.server.repositories[name][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.server.repositories[name][value["path"]] = self.server.stored[value["oid"]]
        address = f"{self.server.address}/{name}/commit/{COMMIT}"
        self.answer({"success": True, "commitOid": COMMIT, "commitUrl": address})

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/"):
            name = "/".join(path.split("/")[3:5])
            files = self.server.repositories.get(name)
            if files is None:
                return self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
            if "/tree/" in path:
                return self.answer(
                    [
                        {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                        for file, content in files.items()
                    ]
                )
            return self.answer({"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]})

        if "/resolve/" not in path:
            return self.answer({"error": "Not found"}, 404)
        owner, repository, _, _, file = path.removeprefix("/").split("/", 4)
        content = self.server.repositories[f"{owner}/{repository}"][file]
        return self.answer(content, ETag=f'"{hashlib.sha256(content).hexdigest()}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET


@contextmanager
def hub() -> Iterator[Hub]:
    """A Hub that answers within the block."""
    with Hub() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
