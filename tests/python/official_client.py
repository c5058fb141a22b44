"""Drives the simulator with the provider's own Python client (`replicate` 1.0.7).

Usage: official_client.py BASE_URL TOKEN     (BASE_URL without /v1)

Prints one line for each thing that holds, and stops with status 1 at the first that does not.
"""

import json
import queue
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

import replicate
from replicate.client import Client
from replicate.exceptions import ReplicateError
from replicate.webhook import Webhooks, WebhookValidationError

MODEL = "simpletuner/advanced-trainer-h100"
QUICK = {"scenario": {"queue_seconds": 0.1, "setup_seconds": 0.1, "steps": 10, "seconds_per_step": 0.02,
                      "finish_seconds": 0.1, "validation_interval_steps": 0, "checkpoint_interval_steps": 0}}
ENDLESS = {"scenario": {"queue_seconds": 0, "end": "run_until_cancelled"}}


def check(what, holds, seen=None):
    """Prints what holds; ends the run if it does not."""
    if not holds:
        print(f"FAILED  {what}: {seen!r}", flush=True)
        sys.exit(1)
    print(f"ok      {what}", flush=True)


def refused(call):
    """The error that the call is refused with, or None."""
    try:
        call()
    except ReplicateError as error:
        return error
    return None


def account_and_catalogue(client):
    check("accounts.current", client.accounts.current().username == "acme")
    hardware = client.hardware.list()
    check("hardware.list", any(item.sku == "gpu-h100" for item in hardware), hardware)
    model = client.models.get(MODEL)
    check("models.get", model.id == MODEL, model)
    versions = model.versions.list()
    check("models.versions.list", [item.id for item in versions] == [model.latest_version.id], versions)
    version = model.versions.get(model.latest_version.id)
    check("models.versions.get", version.cog_version != "", version)
    error = refused(lambda: client.models.get("nobody/nothing"))
    check("an unknown model is 404", error is not None and error.status == 404, error)
    return version.id


def predictions(client, version):
    made = client.predictions.create(version=version, input={"steps": 3, "_simulator": QUICK})
    check("predictions.create", made.status == "starting" and len(made.id) == 26, made)
    check("the new prediction names its model", made.model == MODEL, made.model)
    made.wait()
    check("predictions.wait and reload", made.status == "succeeded", made)
    check("it has output, log and metrics", made.output and "10/10" in made.logs and made.metrics["predict_time"] > 0)
    check("predictions.get", client.predictions.get(made.id).completed_at == made.completed_at)

    waited = client.predictions.create(version=f"{MODEL}:{version}", input={"_simulator": QUICK}, wait=10)
    check("predictions.create with wait answers the end", waited.status == "succeeded", waited.status)
    running = client.predictions.create(model=MODEL, input={"_simulator": ENDLESS})
    running.cancel()
    check("predictions.cancel answers `canceled`", running.status == "canceled", running.status)
    deployed = client.predictions.create(deployment="acme/trainer", input={"_simulator": QUICK})
    check("deployments.predictions.create", deployed.status == "starting", deployed.status)

    failing = {"scenario": {**QUICK["scenario"], "end": {"fail": {"error": "out of memory", "after_step": 4}}}}
    failed = client.predictions.create(version=version, input={"_simulator": failing}, wait=10)
    check("a failed prediction has its error", (failed.status, failed.error) == ("failed", "out of memory"), failed)

    error = refused(lambda: client.predictions.create(version="nonsense", input={}))
    check("a wrong version is 422", error is not None and error.status == 422, error)
    error = refused(lambda: client.predictions.create(version=version, input={}, webhook="http://example.com"))
    check("a webhook that is not https is 422", error is not None and error.status == 422, error)
    error = refused(lambda: client.predictions.get("0" * 26))
    check("an unknown prediction is 404", error is not None and error.status == 404, error)


def pagination(client):
    first = client.predictions.list()
    check("a page has 100 items, without logs", len(first) == 100 and first[0].logs is None, len(first))
    check("the first page has no previous", first.previous is None, first.previous)
    seen = []
    for page in replicate.pagination.paginate(client.predictions.list):
        seen.extend(item.id for item in page)
    check("predictions.list follows `next` to the end", len(seen) == len(set(seen)) >= 250, len(seen))
    second = client.predictions.list(first.next)
    back = client.predictions.list(second.previous)
    check("`previous` leads back", [item.id for item in back] == [item.id for item in first])


def trainings(client, version):
    made = client.trainings.create(model=MODEL, version=version, destination="acme/flowers",
                                   input={"_simulator": QUICK})
    check("trainings.create", made.status == "starting", made)
    while made.status not in ("succeeded", "failed"):
        time.sleep(0.05)
        made.reload()
    check("trainings.reload and output", made.output["version"].startswith("acme/flowers:"), made.output)
    check("trainings.get", client.trainings.get(made.id).output["weights"] == made.output["weights"])
    endless = client.trainings.create(f"{MODEL}:{version}", {"_simulator": ENDLESS}, "acme/flowers")
    endless.cancel()
    check("trainings.cancel", endless.status == "canceled", endless.status)
    check("trainings.list", [item.id for item in client.trainings.list()] == [endless.id, made.id])


def webhooks(client, version):
    received = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.put((dict(self.headers), body.decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/hook"
    made = client.predictions.create(version=version, input={"_simulator": QUICK}, webhook=url,
                                     webhook_events_filter=["start", "completed"])
    secret = client.webhooks.default.secret()
    check("webhooks.default.secret", secret.key.startswith("whsec_"), secret)
    statuses = []
    for _ in range(2):
        headers, body = received.get(timeout=20)
        Webhooks.validate(headers=headers, body=body, secret=secret, tolerance=60)
        prediction = json.loads(body)
        check(f"a webhook with `{prediction['status']}` is validated", prediction["id"] == made.id)
        statuses.append(prediction["status"])
    check("start and completed came in order", statuses == ["processing", "succeeded"], statuses)
    try:
        Webhooks.validate(headers=headers, body=body + " ", secret=secret)
        check("a changed body is refused", False)
    except WebhookValidationError:
        check("a changed body is refused", True)
    check("the last webhook is what GET answers", json.loads(body)["output"] == client.predictions.get(made.id).output)
    server.shutdown()


def main():
    base_url, token = sys.argv[1:]
    client = Client(api_token=token, base_url=base_url)
    client.poll_interval = 0.05
    error = refused(lambda: Client(api_token="wrong", base_url=base_url).accounts.current())
    check("a wrong token is 401", error is not None and error.status == 401, error)
    version = account_and_catalogue(client)
    seed = json.dumps({"count": 250, "statuses": ["succeeded", "processing", "failed"]}).encode()
    urlopen(Request(f"{base_url}/_simulator/seed", data=seed, headers={"Content-Type": "application/json"}))
    predictions(client, version)
    pagination(client)
    trainings(client, version)
    webhooks(client, version)


main()
