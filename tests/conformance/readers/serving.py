"""The loop that all readers in Python share. Only the standard library is used, and Python 3.9 is enough."""

import json
import sys
import traceback


def serve(encode):
    """Answer requests from standard input until it ends.

    Args:
        encode: a function that takes a folder and a list of texts, and returns the vectors as a list of lists of numbers.
    """
    # What the libraries print must not be taken for an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"vectors": [[float(number) for number in vector] for vector in encode(request["folder"], request["texts"])]}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
