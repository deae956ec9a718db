"""A weather station: three plain pykka actors under two supervisors, killed and healed before your eyes.

    station ─┬─ intake ─┬─ sensor
             │          └─ filter     (requires the sensor)
             └─ display

Nothing here knows of queues, and the actors know of nothing at all: they are ordinary pykka actors.
Run it with `python examples/tree/main.py`; it ends by itself.
"""

import queue
import sys

import pykka

from noria.actors import Backoff, ChildSpec, Intensity, Strategy, Supervisor, supervise
from noria.actors.supervision.events import (
    ChildFailed,
    ChildStarted,
    ChildStopped,
    SupervisorFailed,
    Undelivered,
)
from noria.registry import Bus

SOON = Backoff(initial_delay=0.05, jitter=0)
PATIENCE = 10.0


class Sensor(pykka.ThreadingActor):
    """Measures, until its cable comes loose."""

    def on_receive(self, message):
        if message == "pull the cable":
            raise ConnectionError("the cable came loose")
        return [19.9, 20.1, 83.0, 20.0]


class Filter(pykka.ThreadingActor):
    """Removes what cannot be."""

    def on_receive(self, message):
        return [degrees for degrees in message if degrees < 60]


class Display(pykka.ThreadingActor):
    """Shows the mean. Somebody left a `sys.exit()` in it."""

    def on_receive(self, message):
        if message == "off":
            sys.exit("somebody pressed the wrong button")
        print(f"    the display shows {sum(message) / len(message):.1f} degrees")


class Storyteller:
    """Prints what happens, and lets the main thread wait for it."""

    def __init__(self):
        self.started = queue.SimpleQueue()

    def __call__(self, event):
        match event:
            case ChildStarted(child=child, restarts=0):
                print(f"    {child} runs")
            case ChildStarted(child=child):
                print(f"    {child} runs again")
            case ChildFailed(child=child, error=error, retry_in=None):
                print(f"    {child} failed ({error}): once too often")
            case ChildFailed(child=child, error=error, retry_in=delay):
                print(f"    {child} failed ({error}), next attempt in {delay:g} s")
            case ChildStopped(child=child):
                print(f"    {child} stopped")
            case SupervisorFailed(supervisor=name):
                print(f"    {name} gives up: its own supervisor decides")
            case Undelivered(actor=actor):
                print(f"    a message for {actor} came too late")
        if isinstance(event, ChildStarted):
            self.started.put(event.child)

    def wait_for(self, child):
        while self.started.get(timeout=PATIENCE) != child:
            pass


def measure(tree):
    """Sensor to filter to display: always by the tree, because each restart is a new actor."""
    readings = tree.ref("intake", "sensor").ask("measure", timeout=PATIENCE)
    good = tree.ref("intake", "filter").ask(readings, timeout=PATIENCE)
    tree.ref("display").ask(good, timeout=PATIENCE)


def draw(nodes, indent="    "):
    for node in nodes:
        print(f"{indent}{node['id']}: {node['state']}, {node['restarts']} restarts")
        draw(node["children"], indent + "  ")


def main():
    story = Storyteller()
    bus = Bus()
    bus.subscribe(story)
    sensor = ChildSpec("sensor", Sensor, backoff=SOON)
    smoother = ChildSpec("filter", Filter, requires=["sensor"])
    intake = ChildSpec(
        "intake",
        Supervisor,
        args=[[sensor, smoother]],
        kwargs={"strategy": Strategy.REST_FOR_ONE, "intensity": Intensity(restarts=1, seconds=60)},
        backoff=SOON,
    )
    display = ChildSpec("display", Display, requires=["intake"], backoff=SOON)

    print("The station starts: first what others require.")
    with supervise([intake, display], bus=bus, name="station") as tree:
        measure(tree)

        print("The display dies of a sys.exit(). It alone is replaced.")
        story.wait_for("display")
        tree.ref("display").tell("off")
        story.wait_for("display")
        measure(tree)

        print("The sensor dies. The filter requires it, so it stops before and starts after.")
        tree.ref("intake", "sensor").tell("pull the cable")
        story.wait_for("filter")
        measure(tree)

        print("The sensor dies again: more than the intake bears. The station replaces the whole intake,")
        print("and the display, which requires it.")
        tree.ref("intake", "sensor").tell("pull the cable")
        story.wait_for("display")
        measure(tree)

        print("After all that:")
        draw(tree.snapshot()["children"])
        print("The station stops: what others require comes last.")
    print("No thread is left.")


if __name__ == "__main__":
    main()
