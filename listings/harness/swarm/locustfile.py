"""Visitors of the guestbook, for Locust. Each reads the page, thinks, and sometimes signs.

    locust -f locustfile.py --host http://SERVER:8080 --users 100 --spawn-rate 50 --headless --run-time 20s

THINK=0 lets nobody think: a closed loop, as fast as the server and the workers can.
"""

import os
import random

from locust import FastHttpUser, constant, task

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
