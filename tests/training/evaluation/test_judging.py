import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from pytest import fixture

from training.evaluation.judging import endpoint_judge

ASKED: list[dict[str, Any]] = []


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # noqa: N802  # the library's name
        ASKED.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        message = {"role": "assistant", "content": "4.5, I would say"}
        body = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
        sent = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: object) -> None:
        pass


@fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_endpoint_marks_a_reply_and_silence_needs_no_asking(url: str) -> None:
    with endpoint_judge(url, "m") as judge:
        assert judge("Tell me a joke.", "Knock, knock.") == 4.5
        [asked] = ASKED
        text = asked["messages"][0]["content"]
        assert "Tell me a joke." in text
        assert "Knock, knock." in text
        assert judge("Tell me a joke.", "") == 1.0
    assert len(ASKED) == 1
