"""HTTPS to a host by its address under any public name, as a browser with the right DNS would speak to it."""

import http.client
import socket


class Named(http.client.HTTPSConnection):
    """`context` judges the certificate for `name`; `timeout` in seconds, of the connection and of each answer."""

    def __init__(self, address, name, context, timeout=15):
        super().__init__(name, 443, context=context, timeout=timeout)
        self.address = address

    def connect(self):
        self.sock = self._context.wrap_socket(socket.create_connection((self.address, 443), self.timeout), server_hostname=self.host)
