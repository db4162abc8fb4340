"""Stands for the tunnel's program and its server in one: takes the command line of frpc, and answers on the port of
`--server_addr` for one public name, which it leads to the studio.

As with the real one, every connection reaches the studio from 127.0.0.1, with the public name as Host and the visitor's
address in a header; a link has another name each time. Before frpc's own arguments: `--as URL`, with {name} and {port}.
Whoever sends one of WORDS instead of a request tells it what to do: `say(port, "die")`.
"""

import contextlib
import os
import secrets
import socket
import sys
import threading

VISITOR = "203.0.113.9"
LOG = "2026/11/21 02:40:00 [I] [stub.py:1]"
WORDS = ("die", "lose")  # end at once; lose the server and find it again under another name


class Stub:
    def __init__(self, address: str, studio: tuple[str, int], link: str) -> None:
        self.studio, self.link, self.name = studio, link, ""
        host, _, port = address.rpartition(":")
        self.port = int(port)
        self.listener = socket.create_server((host, self.port))

    def announce(self) -> None:
        url = self.link.format(name=secrets.token_hex(9), port=self.port)
        self.name = url.partition("://")[2].partition(":")[0]
        _tell(f"[random] start proxy success: {url}")

    def serve(self) -> None:
        self.announce()
        while True:
            visitor, _ = self.listener.accept()
            threading.Thread(target=self.answer, args=(visitor,), daemon=True).start()

    def answer(self, visitor: socket.socket) -> None:
        """One connection carries one request, so that each of them gets its header."""
        with visitor:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = visitor.recv(65536)
                head += piece
                if head.decode("latin-1").strip() in WORDS:
                    return self.obey(head.decode().strip())
                if not piece:
                    return
            lines, _, rest = head.partition(b"\r\n\r\n")
            first, *headers = lines.split(b"\r\n")
            named = [line.split(b":", 1)[1].strip() for line in headers if line.lower().startswith(b"host:")]
            if [name.decode().partition(":")[0] for name in named] != [self.name]:
                visitor.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            kept = [line for line in headers if not line.lower().startswith((b"connection:", b"x-forwarded-for:"))]
            added = [b"connection: close", b"x-forwarded-for: " + VISITOR.encode()]
            with socket.create_connection(self.studio) as studio:
                studio.sendall(b"\r\n".join([first, *kept, *added]) + b"\r\n\r\n" + rest)
                threading.Thread(target=_pour, args=(visitor, studio), daemon=True).start()
                _pour(studio, visitor)

    def obey(self, word: str) -> None:
        if word == "die":
            os._exit(1)
        _tell("try to reconnect to server...")
        self.announce()


def _tell(line: str) -> None:
    sys.stdout.write(f"{LOG} {line}\n")
    sys.stdout.flush()


def _pour(source: socket.socket, sink: socket.socket) -> None:
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:  # one of them has left
        return


def say(port: int, word: str) -> None:
    with socket.create_connection(("127.0.0.1", port)) as stub:
        stub.sendall(f"{word}\r\n".encode())
        with contextlib.suppress(ConnectionResetError):  # it may be dead already
            stub.recv(1)


def after(arguments: list[str], flag: str, default: str = "") -> str:
    return arguments[arguments.index(flag) + 1] if flag in arguments else default


if __name__ == "__main__":
    told = sys.argv[1:]
    at_home = (after(told, "-i"), int(after(told, "-l")))
    Stub(after(told, "--server_addr"), at_home, after(told, "--as", "https://{name}.gradio.live")).serve()
