"""An HTTP proxy that fails on demand, between OpenTrail and another server of this machine."""

import contextlib
import http.client
import http.server
import json
import socket
import struct
import threading

SLOW_DOWN, INTERNAL, DENIED, NO_BUCKET = [
    (status, "application/xml", f"<Error><Code>{code}</Code><Message>{code}, injected</Message></Error>")
    for status, code in [(503, "SlowDown"), (500, "InternalError"), (403, "AccessDenied"), (404, "NoSuchBucket")]
]


def kms_error(status, name, message="injected"):
    return status, "application/x-amz-json-1.1", json.dumps({"__type": name, "message": message})


class Faulty:
    """Passes HTTP requests on to a port while `fault` is `None`. Requests of the method `fails` meet the fault: an answer
    (status, content type, body), "hang" (no answer until the fault is gone), "cut" (the connection is reset in the middle of
    the request's body), or "mute" (the request is carried out, and the connection reset instead of an answer)."""

    def __init__(self, target_port, fails):
        self.target_port, self.fails = target_port, fails
        self.fault, self.met = None, 0
        self.changed = threading.Condition()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_any(self):
                with contextlib.suppress(OSError):
                    proxy.answer(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def become(self, fault):
        with self.changed:
            self.fault, self.met = fault, 0
            self.changed.notify_all()

    def close(self):
        self.become(None)
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request):
        fault = self.fault if request.command == self.fails else None
        if fault is not None:
            self.met += 1
        length = int(request.headers.get("Content-Length") or 0)
        if fault == "cut":
            request.rfile.read(length // 2)
            return self.reset(request)
        body = request.rfile.read(length)
        if fault == "hang":
            with self.changed:
                self.changed.wait_for(lambda: self.fault != "hang")
            return self.reset(request)
        if isinstance(fault, tuple):
            status, content_type, text = fault
            return self.send(request, status, [("Content-Type", content_type)], text.encode())
        status, headers, found = self.forward(request, body)
        return self.reset(request) if fault == "mute" else self.send(request, status, headers, found)

    def forward(self, request, body):
        far = http.client.HTTPConnection("127.0.0.1", self.target_port, timeout=60)
        far.request(request.command, request.path, body, dict(request.headers))
        response = far.getresponse()
        found = response.read()
        far.close()
        return response.status, response.getheaders(), found

    @staticmethod
    def send(request, status, headers, body):
        request.send_response(status)
        for name, value in headers:
            if name.lower() not in ("connection", "content-length", "transfer-encoding", "date", "server"):
                request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    @staticmethod
    def reset(request):
        request.close_connection = True
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.connection.close()
