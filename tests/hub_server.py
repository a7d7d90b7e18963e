"""A small Hugging Face Hub on this machine: the routes that `huggingface_hub` uses to download and upload a model."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["HubServer", "Repository"]

_PAGE = 3  # entries on a page of a listing; the real Hub has 1000


def commit_of(name: str) -> str:
    """Return the commit hash of the version `name`."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Repository:
    """A repository: the commits of branches and tags, and the files of commits."""

    refs: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    token: str | None = None  # without it the server says that there is no such repository
    private: bool = False

    def commit(self, name: str, files: dict[str, bytes], *refs: str) -> str:
        """Add a version as the newest of the branches and tags `refs` (default: the main branch), and return its hash."""
        commit = commit_of(name)
        self.commits[commit] = files
        self.refs |= dict.fromkeys(refs or ("main",), commit)
        return commit


@dataclass
class Request:
    """A request that the server received."""

    method: str
    path: str
    token: str | None


class HubServer:
    """The server. It is a context manager and listens inside its ``with`` block.

    Attributes:
        url: the address that clients use for the Hub.
        content_url: the address of the contents of large files. It is the same server by another name, as if on another host.
        repositories: the repositories by name.
        requests: the requests about models so far. A test may clear the list.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        port = self._server.server_address[1]
        self.url, self.content_url = f"http://127.0.0.1:{port}", f"http://localhost:{port}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening. From now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()

    def fetched(self) -> set[str]:
        """Return the files whose contents were requested."""
        paths = [re.search("/(?:resolve/[^/]+|content/.+/[0-9a-f]{40})/(.*)", request.path) for request in self.requests if request.method == "GET"]
        return {unquote(path[1]) for path in paths if path}


class _Handler(BaseHTTPRequestHandler):
    server_hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        self.server_hub.requests.append(Request(self.command, self.path, token))
        path = urlsplit(self.path).path
        if token is None:
            self._refuse(401, "Unauthorized", "Invalid username or password.")
        elif path == "/api/repos/create":
            self._create(json.loads(body), token)
        elif path == "/api/validate-yaml":
            self._send_json({"errors": [], "warnings": []})
        elif upload := re.fullmatch("/api/models/(.+)/(preupload|commit)/([^/]+)", path):
            if found := self._find(upload[1], upload[3], token):
                self._preupload(json.loads(body)) if upload[2] == "preupload" else self._commit(upload[1], found[1], body)
        else:
            self._refuse(404, "NotFound", f"no route {self.path}")

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing. The requests are recorded instead."""

    def _answer(self) -> None:
        url = urlsplit(self.path)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        if url.path == "/api/agent-harnesses":  # the client asks this for itself and not about a model
            self._send(404, b"")
            return
        self.server_hub.requests.append(Request(self.command, self.path, token))
        if content := re.fullmatch("/content/(.+)/([0-9a-f]{40})/(.+)", url.path):
            self._send(200, self.server_hub.repositories[content[1]].commits[content[2]][unquote(content[3])])
        elif api := re.fullmatch("/api/models/((?:[^/]+/)?[^/]+)(?:/(revision|tree)/([^/]+))?", url.path):
            if found := self._find(api[1], api[3] or "main", token):
                self._describe(api[1], *found, url.query) if api[2] == "tree" else self._info(api[1], *found)
        elif file := re.fullmatch("/((?:[^/]+/)?[^/]+)/resolve/([^/]+)/(.+)", url.path):
            if found := self._find(file[1], file[2], token):
                self._resolve(file[1], *found, unquote(file[3]))
        else:
            self._refuse(404, "NotFound", f"no route {self.path}")

    def _create(self, wanted: dict[str, Any], token: str) -> None:
        name = "/".join(part for part in (wanted.get("organization"), wanted["name"]) if part)
        if name in self.server_hub.repositories:
            self._send(409, json.dumps({"error": "You already created this model repo", "url": f"{self.server_hub.url}/{name}"}).encode())
            return
        private = bool(wanted.get("private") or wanted.get("visibility") == "private")
        repository = self.server_hub.repositories[name] = Repository(token=token if private else None, private=private)
        repository.commit("created", {".gitattributes": b""})
        self._send_json({"url": f"{self.server_hub.url}/{name}"})

    def _preupload(self, wanted: dict[str, Any]) -> None:
        # Every file may be part of the commit, also a large one.
        self._send_json({"files": [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in wanted["files"]]})

    def _commit(self, name: str, files: dict[str, bytes], body: bytes) -> None:
        repository = self.server_hub.repositories[name]
        lines = [json.loads(line) for line in body.decode().splitlines()]
        added = {line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"}
        commit = repository.commit(f"{name} {len(repository.commits)}", {**files, **added})
        url = f"{self.server_hub.url}/{name}/commit/{commit}"
        self._send_json({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})

    def _find(self, name: str, revision: str, token: str | None) -> tuple[str, dict[str, bytes]] | None:
        """Return the commit and its files, or ``None`` after the request has been refused."""
        repository = self.server_hub.repositories.get(name)
        if repository is None or repository.token not in (None, token):
            self._refuse(401, "RepoNotFound", "Repository not found")
            return None
        commit = repository.refs.get(unquote(revision), unquote(revision))
        if commit not in repository.commits:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {unquote(revision)}")
            return None
        return commit, repository.commits[commit]

    def _info(self, name: str, commit: str, files: dict[str, bytes]) -> None:
        info = {"_id": "1", "id": name, "modelId": name, "sha": commit, "private": False, "tags": [], "downloads": 0, "likes": 0}
        self._send_json({**info, "siblings": [{"rfilename": path} for path in files]})

    def _describe(self, name: str, commit: str, files: dict[str, bytes], query: str) -> None:
        entries: list[dict[str, Any]] = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "a folder"}]
        for path, content in files.items():
            entry = {"type": "file", "oid": _git_hash(content), "size": len(content), "path": path}
            if _is_large(path):
                entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
            entries.append(entry)
        first = int(parse_qs(query).get("cursor", ["0"])[0])
        headers = {}
        if first + _PAGE < len(entries):
            headers["Link"] = f'<{self.server_hub.url}/api/models/{name}/tree/{commit}?recursive=True&cursor={first + _PAGE}>; rel="next"'
        self._send_json(entries[first : first + _PAGE], headers)

    def _resolve(self, name: str, commit: str, files: dict[str, bytes], path: str) -> None:
        content = files.get(path)
        if content is None:
            self._refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
        elif _is_large(path):
            # Large files are on another host, and this route redirects to it.
            headers = {"X-Repo-Commit": commit, "X-Linked-Size": str(len(content))}
            headers["X-Linked-ETag"] = f'"{hashlib.sha256(content).hexdigest()}"'
            self._send(302, b"", {**headers, "Location": f"{self.server_hub.content_url}/content/{name}/{commit}/{path}"})
        else:
            self._send(200, content, {"X-Repo-Commit": commit, "ETag": f'"{_git_hash(content)}"'})

    def _refuse(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        body = json.dumps({"error": message}).encode()
        self._send(status, body, {"X-Error-Code": code, "X-Error-Message": message, **(headers or {})})

    def _send_json(self, content: Any, headers: dict[str, str] | None = None) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _is_large(path: str) -> bool:
    return path.endswith((".safetensors", ".bin", ".onnx"))


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
