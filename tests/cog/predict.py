"""A trainer that trains nothing, for the real runtime.

Cog runs this file as it would run SimpleTuner's trainer on Replicate: in a process of its own, with
standard output captured as the job's log and a cancel delivered as an exception. What it prints is
what a tracker has to cope with: some plain lines, then one tqdm bar whose frames are separated by
`\r`, not `\n`. The real tqdm draws the bar, so no frame is of our own imagination.
"""

import sys
import time

from cog import BasePredictor, Input
from tqdm import tqdm

EPOCHS = 2


class Predictor(BasePredictor):
    def predict(
        self,
        steps: int = Input(description="Length of the run", default=20),
        seconds_per_step: float = Input(description="Pace of the run", default=0.05),
        fail: bool = Input(description="Raise at half of the steps", default=False),
    ) -> str:
        print("Loading model weights from black-forest-labs/FLUX.1-dev", flush=True)
        print(f"***** Running training *****\n  Total optimization steps = {steps}", flush=True)
        # stdout, where SimpleTuner's frames arrive in a prediction's log, too. No minimal interval:
        # a frame for each step, however fast the test lets them follow each other.
        with tqdm(total=steps, file=sys.stdout, mininterval=0) as bar:
            for step in range(1, steps + 1):
                # The exception of a cancel arrives here. It is Cog's own; do not catch it.
                time.sleep(seconds_per_step)
                epoch = 1 + (step - 1) * EPOCHS // steps
                bar.set_description(f"Epoch {epoch}/{EPOCHS}, Steps", refresh=False)
                bar.set_postfix(lr="9.5e-5", step_loss=f"{1 / (step + 1):.4f}", refresh=False)
                bar.update()
                sys.stdout.flush()
                if fail and step * 2 >= steps:
                    raise RuntimeError(f"CUDA out of memory at step {step}")
        print("Saving model to output/pytorch_lora_weights.safetensors", flush=True)
        return "https://example.invalid/pytorch_lora_weights.safetensors"
