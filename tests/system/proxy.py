"""A TCP proxy whose far side can be made to fail."""

import contextlib
import socket
import threading

from opentrail_server import free_port


class Proxy:
    """Passes connections on to a port of this machine while `mode` is "pass"; "refuse" closes each at once, "hang" takes them
    and never answers. A change of mode breaks every open connection off."""

    def __init__(self, target_port):
        self.target_port, self.port = target_port, free_port()
        self.mode, self.attempts = "pass", 0
        self.open, self.lock = set(), threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, daemon=True).start()

    def become(self, mode):
        self.mode, self.attempts = mode, 0
        with self.lock:
            for connection in self.open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.become("refuse")
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                self.attempts += 1
                if self.mode == "refuse":
                    near.close()
                    continue
                with self.lock:
                    self.open.add(near)
                if self.mode == "pass":
                    far = socket.create_connection(("127.0.0.1", self.target_port))
                    with self.lock:
                        self.open.add(far)
                    for source, sink in [(near, far), (far, near)]:
                        threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    def pump(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
            with self.lock:
                self.open.discard(connection)
