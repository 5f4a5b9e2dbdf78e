"""A webhook on loopback that keeps what it is sent, and confirms subscriptions as a subscriber would."""

import http.server
import json
import threading
import time
import urllib.request


class Webhook:
    """Listens on a free port until it is closed."""

    def __init__(self):
        outer, self.received, self.seen = self, [], threading.Condition()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                outer._take(dict(self.headers), body)

            do_PUT = do_POST

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _take(self, headers, body):
        at = time.monotonic()
        if headers.get("x-amz-sns-message-type") == "SubscriptionConfirmation":
            urllib.request.urlopen(json.loads(body)["SubscribeURL"], timeout=10).read()
        with self.seen:
            self.received.append((at, headers, body))
            self.seen.notify_all()

    def wait_for(self, wanted, seconds=60):
        """The first request that `wanted(headers, body)` holds for: when it came, and its body."""
        deadline = time.monotonic() + seconds
        with self.seen:
            while True:
                for at, headers, body in self.received:
                    if wanted(headers, body):
                        return at, body
                left = deadline - time.monotonic()
                if left <= 0 or not self.seen.wait(left):
                    raise AssertionError(f"not received within {seconds} s; received: {self.received}")

    def close(self):
        self.server.shutdown()
        self.server.server_close()
