"""Visitors of the guestbook, for Locust. Each reads the page, thinks, and sometimes signs.

    locust -f locustfile.py --host http://SERVER:8080 --users 100 --spawn-rate 50 --headless --run-time 20s

THINK=0 lets nobody think: a closed loop, as fast as the server and the workers can.
"""

import os
import random

import gevent
from locust import FastHttpUser, constant, events, task
from locust.rpc import Message
from locust.runners import MasterRunner

# ANCHOR: visitor
THINK = float(os.environ.get("THINK", "2"))


class Visitor(FastHttpUser):
    """One person, on a connection that stays."""

    wait_time = constant(0) if THINK == 0 else lambda _: random.uniform(0.5, 1.5) * THINK
    connection_timeout = network_timeout = 10.0

    @task(9)
    def read(self):
        """A page counts if it is one."""
        with self.client.get("/guestbook", catch_response=True) as response:
            if response.status_code != 200 or "</html>" not in response.text:
                response.failure("not the page")

    @task(1)
    def sign(self):
        """A remark, and the page again, to which the response leads."""
        with self.client.post("/guestbook", data={"remark": "hello"}, catch_response=True) as response:
            if response.status_code != 200 or "</html>" not in response.text:
                response.failure("not the page")
# ANCHOR_END: visitor


HEARD = set()


@events.worker_report.add_listener
def hear(client_id, data):
    """A worker has told the master what it has counted."""
    HEARD.add(client_id)


@events.test_stop.add_listener
def hear_all(environment, **_):
    """At its end the master gives its workers half a second for their last counts, and some need longer on a busy machine. So nobody
    asks any more, and then each is heard once more. When they are ready again, the end reaches them."""
    runner = environment.runner
    if not isinstance(runner, MasterRunner):
        return
    workers = {worker.id for worker in runner.clients.all}
    for worker in workers:
        runner.server.send_to_client(Message("stop", None, worker))
    with gevent.Timeout(60, False):
        wait_until(lambda: workers.isdisjoint(runner.clients))
        HEARD.clear()
        wait_until(lambda: workers <= HEARD)
        wait_until(lambda: workers <= set(runner.clients))


def wait_until(holds):
    while not holds():
        gevent.sleep(0.05)
