"""`python -m autorule.local_prefect.interruptible ...` is Prefect's command, with a Ctrl-C that works.

Prefect ends its worker and what the worker started by SIGINT. A process that a shell started in the background, or
nohup did, has it ignored, and so has all that it starts: there a worker would only end by force.
"""

import runpy
import signal


def take_interrupts() -> None:
    """From here on an interrupt is one, in this process and in those that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    take_interrupts()
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)
