import time

MAX_TRIES = 5


def backoff(attempt, base=0.1):
    time.sleep(base * 2 ** attempt)


def is_final(error):
    return error.code in {400, 401, 403, 404}
