"""A server of one folder for this machine alone: browsers give the camera to pages from localhost, not to files."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rnnpool.errors import InputError

HOST = "localhost"


class _Handler(SimpleHTTPRequestHandler):
    """Files as they are now, without a line for each."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def open_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server that listens; ``serve_forever`` answers. Port 0 takes a free one (``server_port``).

    Raises:
        InputError: a port that is no port, is in use, or needs more rights.
    """
    if not 0 <= port < 1 << 16:
        raise InputError(f"--port is {port}; ports are 0..65535, 0 takes a free one")
    try:
        return ThreadingHTTPServer((HOST, port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise InputError(f"--port {port}: {error.strerror}; --port 0 takes a free one") from error
