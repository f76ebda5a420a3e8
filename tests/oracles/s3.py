"""An S3 server in memory on the loopback interface.

Prints its port, then serves until standard input ends, which it does with whoever started it, or for half an hour.
"""

import logging
import signal
import sys

from moto.server import ThreadedMotoServer

signal.alarm(1800)
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
