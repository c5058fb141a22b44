"""Logs of a bar of steps as collectors hand them on: docker compose, kubectl, torchrun. The bar is the real tqdm's."""

import re

from play import ANY, march, wait


class Prefixed:
    """A file that puts a prefix before each line, as collectors of logs do."""

    def __init__(self, log, prefix):
        self.log = log
        self.prefix = prefix
        self.fresh = True

    def write(self, text):
        for part in text.splitlines(keepends=True) if "\r" not in text else re.split(r"(?<=\n)", text):
            if not part:
                continue
            if self.fresh:
                self.log.write(self.prefix())
            self.log.write(part)
            self.fresh = part.endswith("\n")

    def flush(self):
        pass


class Pieces(Prefixed):
    """A file whose reader takes a carriage return for the end of a line and puts a prefix before each piece it gets."""

    def write(self, text):
        for part in re.findall(r"\r|[^\r\n]*\n|[^\r\n]+", text):
            self.log.write(self.prefix() + ("\n" if part == "\r" else part))


def collected(log, files, between=lambda log, step: [], total=400):
    """A bar of steps of each rank as a collector of logs hands it on, with the lines of others between."""
    for file in files:
        file.write("Loading checkpoint shards from /models/base\n")
    log.mark(stage="Preprocessing")
    bars = [log.bar(range(total), desc="Steps", file=file, ncols=100, position=0) for file in files]
    for step in range(20, total + 1, 20):
        wait(log.some(20, 24))
        loss = float(f"{log.falling(step / total):.3g}")
        bars[0].set_postfix_str(f"loss={loss:.3g}", refresh=False)
        for bar in bars:
            bar.update(20)
            log.mark(stage="Training", step=step, total=total, percent=step * 100 / total, loss=loss)
        if step % 100 == 0:
            files[0].write("\n")
            for line in between(log, step):
                log.say(line)
            files[0].write(f"Saving checkpoint to /out/checkpoint-{step}\n")
            log.mark(stage="Saving checkpoint")
    for bar in bars:
        bar.close()
    files[0].write("Training complete\n")
    log.mark(stage=ANY)


def compose(log):
    """docker compose logs: the database saves, too."""
    def between(log, step):
        stamp = log.clock("%d %b %Y %H:%M:%S.118")
        yield f"redis-1    | 1:M {stamp} * 100 changes in 300 seconds. Saving..."
        yield f"api-1      | INFO:     172.18.0.5:41022 - \"GET /progress?step={step} HTTP/1.1\" 200 OK"
    collected(log, [Prefixed(log, lambda: "trainer-1  | ")], between)


def kubernetes(log):
    """kubectl logs --prefix --timestamps, with a sidecar."""
    pod = "[pod/unet-train-0-x8kd2/"
    stamp = lambda log: log.clock("%Y-%m-%dT%H:%M:%S.118204411Z ")
    between = lambda log, step: [f"{pod}istio-proxy] {stamp(log)}warning envoy config StreamAggregatedResources stream closed: 13, retry 1/5"]
    collected(log, [Prefixed(log, lambda: f"{pod}trainer] {stamp(log)}")], between)


def ranks(log):
    """torchrun's tail of two ranks, whose bars have no line of their own."""
    collected(log, [Pieces(log, lambda at=at: f"[default{at}]:") for at in (0, 1)])


LOGS = march({
    "docker-compose": compose,
    "kubernetes": kubernetes,
    "ranks": ranks,
})
