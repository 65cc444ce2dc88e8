"""A queue of parcels that survives a restart."""

import json
import os
import threading

from src.retry import backoff, MAX_TRIES

LOCK = threading.Lock()


class Queue:
    def __init__(self, path):
        self.path = path
        self.items = []
        self.closed = False

    def push(self, item):
        # The lock covers memory only, not the file.
        with LOCK:
            self.items.append(item)
        self.save()

    def pop(self):
        if not self.items:
            return None
        item = self.items.pop(0)
        self.save()
        return item

    def save(self):
        with open(self.path, "w") as file:
            json.dump(self.items, file)

    def close(self):
        self.closed = True
        os.sync()


def drain(queue, send):
    while (item := queue.pop()) is not None:
        for attempt in range(MAX_TRIES):
            if send(item):
                break
            backoff(attempt)
